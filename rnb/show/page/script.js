"use strict";
// Values under the pointer, and runs that can be switched off. The page says all it has to say without this.

const LEVELS = {
  linear: { to: (v) => v, from: (v) => v },
  log: { to: Math.log10, from: (v) => 10 ** v },
  percentile: { to: (v) => -Math.log10(1 - v), from: (v) => 1 - 10 ** -v },
};

function scaleOf(text) {
  const [kind, low, high, ...unit] = text.split(" ");
  const { to, from } = LEVELS[kind];
  const [start, end] = [to(Number(low)), to(Number(high))];
  const value = (place) => from(start + place * (end - start));
  return { kind, value, unit: unit.join(" "), finest: Math.abs(value(1) - value(0.9999)) };
}

function digits(value, finest) {
  const wanted = 2 - Math.floor(Math.log10(Math.abs(value) || 1));
  const known = Math.floor(-Math.log10(finest || 1e-9));
  return Number(value.toFixed(Math.min(9, Math.max(0, Math.min(wanted, Math.max(known, 0)))))).toLocaleString("en");
}

function worded(value, { kind, unit, finest }) {
  if (kind === "percentile") return "p" + (100 * value).toFixed(value < 0.99 ? 1 : value < 0.999 ? 2 : 3);
  const known = kind === "log" ? 0 : finest;
  if (unit === "ms" && value >= 1000) return digits(value / 1000, known / 1000) + " s";
  if (unit === "ms" && value < 1 && value > 0) return digits(value * 1000, known * 1000) + " µs";

  return digits(value, known) + (["ms", "s", "%"].includes(unit) ? " " + unit : unit);
}

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

function readOut(plot) {
  const [xScale, yScale] = [scaleOf(plot.dataset.x), scaleOf(plot.dataset.y)];
  const tip = element("div", "tip hidden");
  const hair = element("div", "hair hidden");
  plot.append(hair, tip);
  let lines = null;

  function read() {
    return [...plot.querySelectorAll(".marks > g[data-name]:not([data-name=''])")].map((group) => {
      const path = group.querySelector("path");
      return { group, colour: path.getAttribute("stroke"), points: pointsOf(path.getAttribute("d")) };
    });
  }

  function show(event) {
    lines ??= read();
    const box = plot.getBoundingClientRect();
    const place = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const shown = lines.filter(({ group, points }) => points.length && !group.classList.contains("hidden"));
    if (!shown.length) return hide();
    const rows = shown.map(({ group, colour, points }) => {
      const y = nearest(points, 10000 * place, group.hasAttribute("data-step"))[1];
      const row = element("div", "", `${group.dataset.name}: ${worded(yScale.value(1 - y / 10000), yScale)}`);
      const mark = element("i", "");
      mark.style.background = colour;
      row.prepend(mark);
      return row;
    });
    tip.replaceChildren(element("div", "", worded(xScale.value(place), xScale)), ...rows);
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

  plot.addEventListener("pointermove", show);
  plot.addEventListener("pointerdown", show);
  plot.addEventListener("pointerleave", hide);
}

function toggle(run) {
  for (const button of document.querySelectorAll(`[data-toggle="${run}"]`)) {
    const isOn = button.classList.toggle("off");
    button.setAttribute("aria-pressed", String(!isOn));
  }
  for (const mark of document.querySelectorAll(`[data-run="${run}"]`)) mark.classList.toggle("hidden");
}

for (const plot of document.querySelectorAll(".plot[data-x]")) readOut(plot);
for (const button of document.querySelectorAll("[data-toggle]")) {
  button.tabIndex = 0;
  button.setAttribute("role", "button");
  button.setAttribute("aria-pressed", "true");
  button.title = "show or hide this run";
  button.addEventListener("click", () => toggle(button.dataset.toggle));
  button.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      toggle(button.dataset.toggle);
    }
  });
}
