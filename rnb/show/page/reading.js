
// Values under the pointer, or where the keyboard has gone. The page says all it has to say without this.

const GRID = 10000;

// The points of a path that is written as M x y, then relative l, h and v.
function pointsOf(d) {
  const points = [];
  let [x, y] = [0, 0];
  for (const [, command, rest] of d.matchAll(/([Mlhv])([^Mlhv]*)/g)) {
    const numbers = rest.trim().split(/[ ,]+/).map(Number);
    if (command === "M") points.push([([x, y] = numbers)[0], y]);
    else if (command === "h") points.push([(x += numbers[0]), y]);
    else if (command === "v") points[points.length - 1] = [x, (y += numbers[0])];
    else for (let i = 0; i < numbers.length; i += 2) points.push([(x += numbers[i]), (y += numbers[i + 1])]);
  }
  return points;
}

function nearest(points, x, isStep) {
  let [low, high] = [0, points.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= x) low = middle;
    else high = middle;
  }
  if (points[high][0] <= x) return points[high];
  return isStep || x - points[low][0] <= points[high][0] - x ? points[low] : points[high];
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text ?? "";
  return made;
}

// The part of a chart that is seen: from and to, as shares of its width from the left and height from the top.
const views = new WeakMap();

function viewOf(plot) {
  if (!views.has(plot)) views.set(plot, { x: [0, 1], y: [0, 1] });
  return views.get(plot);
}

function readOut(plot) {
  const [xScale, yScale] = [scaleOf(plot.dataset.x), scaleOf(plot.dataset.y)];
  const tip = element("div", "tip hidden");
  const hair = element("div", "hair hidden");
  tip.setAttribute("role", "status");
  plot.append(hair, tip);
  let lines = null;

  function read() {
    return [...plot.querySelectorAll(".marks > g[data-name]:not([data-name=''])")].map((group) => {
      const path = group.querySelector("path");
      return { group, colour: path.getAttribute("stroke"), points: pointsOf(path.getAttribute("d")) };
    });
  }

  // `place`: a share of the width that is seen.
  function show(place) {
    lines ??= read();
    const shown = lines.filter(({ group, points }) => points.length && !group.classList.contains("hidden"));
    if (!shown.length) return hide();
    const [from, to] = viewOf(plot).x;
    const share = from + place * (to - from);
    const rows = shown.map(({ group, colour, points }) => {
      const y = nearest(points, GRID * share, group.hasAttribute("data-step"))[1];
      const row = element("div", "", `${group.dataset.name}: ${worded(yScale.value(1 - y / GRID), yScale)}`);
      const mark = element("i", "");
      mark.style.background = colour;
      row.prepend(mark);
      return row;
    });
    tip.replaceChildren(element("div", "", worded(xScale.value(share), xScale)), ...rows);
    hair.style.left = `${100 * place}%`;
    const isLeft = place > 0.5;
    tip.style.left = isLeft ? "" : `calc(${100 * place}% + 8px)`;
    tip.style.right = isLeft ? `calc(${100 - 100 * place}% + 8px)` : "";
    tip.style.top = "0";
    for (const part of [tip, hair]) part.classList.remove("hidden");
  }

  function hide() {
    for (const part of [tip, hair]) part.classList.add("hidden");
  }

  function showUnder(event) {
    const box = plot.getBoundingClientRect();
    show(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
  }

  plot.addEventListener("pointermove", showUnder);
  plot.addEventListener("pointerdown", showUnder);
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  return { show, hide };
}
