
// A closer look: by dragging over a chart, or by keyboard. Charts of the same time show the same stretch of it.

const CLOSEST = 0.002;
const NUM_TICKS = 7;
const SVG = document.querySelector("svg").namespaceURI;

function svg(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function percent(share) {
  return `${100 * share}%`;
}

function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((step) => step * power >= least * 0.999999);
}

function multiples(low, high) {
  const step = niceStep((high - low) / NUM_TICKS);
  const ticks = [];
  for (let index = Math.ceil(low / step); index * step <= high; index++) ticks.push(index * step);
  return ticks;
}

function roundNumbers(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    ticks.push(...[1, 2, 5].map((digit) => digit * 10 ** power));
  return ticks.filter((tick) => tick >= low && tick <= high);
}

// The values at which there are ticks between two shares of an axis.
function ticksBetween(scale, from, to) {
  const [low, high] = [scale.value(from), scale.value(to)];
  if (scale.kind === "percentile")
    return [...Array(NUM_TICKS)].map((_, index) => scale.value(from + ((index + 0.5) / NUM_TICKS) * (to - from)));
  const round = scale.kind === "log" ? roundNumbers(low, high) : [];
  return round.length >= 3 ? round : multiples(low, high);
}

// What stands at a value of an axis and moves with it: the attribute, which axis, and its place in the whole.
function placesIn(plot) {
  const attributes = { x: ["x", "x1", "x2"], y: ["y", "y1", "y2"] };
  return [...plot.querySelectorAll("[data-at]")].flatMap((one) => {
    const inside = one.tagName === "g" ? [...one.children] : [one];
    return [...one.dataset.at].flatMap((axis) =>
      inside.flatMap((part) =>
        attributes[axis]
          .filter((name) => part.hasAttribute(name))
          .map((name) => ({
            part,
            name,
            axis,
            share: parseFloat(part.getAttribute(name)) / 100,
            length: part.tagName === "rect" ? parseFloat(part.getAttribute("width")) / 100 : 0,
          })),
      ),
    );
  });
}

function zoomable(plot, reading) {
  const scales = { x: scaleOf(plot.dataset.x), y: scaleOf(plot.dataset.y) };
  const marks = plot.querySelector(".marks");
  const axes = [...plot.querySelectorAll(".grid, .y, .x")].map((group) => ({ group, whole: [...group.childNodes] }));
  const places = placesIn(plot);
  let choice = null;
  let start = null;

  function isWhole() {
    const { x, y } = viewOf(plot);
    return x[0] === 0 && x[1] === 1 && y[0] === 0 && y[1] === 1;
  }

  function draw() {
    const { x, y } = viewOf(plot);
    marks.setAttribute("viewBox", [x[0], y[0], x[1] - x[0], y[1] - y[0]].map((share) => share * GRID).join(" "));
    const seen = { x: (share) => (share - x[0]) / (x[1] - x[0]), y: (share) => (share - y[0]) / (y[1] - y[0]) };
    for (const { part } of places) part.classList.remove("beyond");
    for (const place of places) move(place, seen[place.axis]);
    for (const { group, whole } of axes) group.replaceChildren(...whole);
    for (const name of plot.querySelectorAll(".end")) name.classList.toggle("beyond", !isWhole());
    if (!isWhole()) drawAxes(seen);
  }

  function move({ part, name, share, length }, seen) {
    const [from, to] = [seen(share), seen(share + length)];
    const isBeyond = to < -1e-9 || from > 1 + 1e-9;
    if (isBeyond) part.classList.add("beyond");
    const low = length ? Math.max(0, from) : from;
    part.setAttribute(name, percent(low));
    if (length) part.setAttribute("width", percent(isBeyond ? 0 : Math.min(1, to) - low));
  }

  function drawAxes(seen) {
    const { x, y } = viewOf(plot);
    const [grid, left, below] = ["grid", "y", "x"].map((name) => plot.querySelector(`.${name}`));
    const fine = (scale, range) => ({ ...scale, finest: (scale.finest || 1e-9) * (range[1] - range[0]) });
    const across = ticksBetween(scales.x, ...x).map((tick) => [tick, seen.x(scales.x.place(tick))]);
    const up = ticksBetween(scales.y, 1 - y[1], 1 - y[0]).map((tick) => [tick, seen.y(1 - scales.y.place(tick))]);
    grid.replaceChildren(
      ...up.map(([, at]) => svg("line", { x1: 0, x2: "100%", y1: percent(at), y2: percent(at) })),
      ...across.map(([, at]) => svg("line", { x1: percent(at), x2: percent(at), y1: "100%", y2: "100%", class: "tick" })),
    );
    const words = (tick, axis, range) => worded(tick, fine(scales[axis], range));
    left.replaceChildren(
      ...up.map(([tick, at]) => svg("text", { x: -6, y: percent(at), dy: "0.35em" }, words(tick, "y", y))),
    );
    below.replaceChildren(
      ...across.map(([tick, at]) => svg("text", { x: percent(at), y: "100%", dy: "1.4em" }, words(tick, "x", x))),
    );
  }

  function within([from, to]) {
    const width = Math.min(1, Math.max(CLOSEST, to - from));
    const low = Math.min(1 - width, Math.max(0, (from + to - width) / 2));
    return [low, low + width];
  }

  function see(x, y) {
    const group = plot.dataset.linked;
    const linked = group ? zoomables.filter((one) => one.plot.dataset.linked === group) : [];
    viewOf(plot).y = within(y);
    for (const { plot: other } of linked.length ? linked : [{ plot }]) viewOf(other).x = within(x);
    for (const { draw: again } of linked.length ? linked : [{ draw }]) again();
    reading.hide();
  }

  function whole() {
    see([0, 1], [0, 1]);
  }

  function placeOf(event) {
    const box = plot.getBoundingClientRect();
    const inside = (value) => Math.min(1, Math.max(0, value));
    return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height), box];
  }

  // A flat drag chooses a stretch of x, a steep one a stretch of y, any other a part of both.
  function chosen(event) {
    const [x, y, box] = placeOf(event);
    const range = (a, b, size) => (Math.abs(a - b) * size < 20 ? null : [Math.min(a, b), Math.max(a, b)]);
    const [across, down] = [range(start.x, x, box.width), range(start.y, y, box.height)];
    return across || down ? { across: across ?? [0, 1], down: down ?? [0, 1] } : null;
  }

  function inWhole([from, to], range) {
    return [from, to].map((share) => range[0] + share * (range[1] - range[0]));
  }

  function drop() {
    choice?.remove();
    [choice, start] = [null, null];
  }

  plot.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch") return;
    const [x, y] = placeOf(event);
    start = { x, y };
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointermove", (event) => {
    if (!start) return;
    const part = chosen(event);
    choice ??= plot.appendChild(element("div", "choice"));
    choice.classList.toggle("hidden", !part);
    if (!part) return;
    [choice.style.left, choice.style.width] = [percent(part.across[0]), percent(part.across[1] - part.across[0])];
    [choice.style.top, choice.style.height] = [percent(part.down[0]), percent(part.down[1] - part.down[0])];
  });
  plot.addEventListener("pointerup", (event) => {
    const part = start && chosen(event);
    drop();
    const { x, y } = viewOf(plot);
    if (part) see(inWhole(part.across, x), inWhole(part.down, y));
  });
  plot.addEventListener("pointercancel", drop);
  plot.addEventListener("dblclick", whole);

  let place = 0.5;
  function read(by) {
    place = Math.min(1, Math.max(0, place + by));
    reading.show(place);
  }

  plot.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { x, y } = viewOf(plot);
    const width = x[1] - x[0];
    const middle = (x[0] + x[1]) / 2;
    const move = (by) => (width < 1 && !event.shiftKey ? see(x.map((share) => share + (by * width) / 4), y) : read(by / 50));
    const deeds = {
      "+": () => see([middle - width / 4, middle + width / 4], y),
      "=": () => see([middle - width / 4, middle + width / 4], y),
      "-": () => see([middle - width, middle + width], y),
      ArrowLeft: () => move(-1),
      ArrowRight: () => move(1),
      Escape: () => (start ? drop() : whole()),
    };
    if (!deeds[event.key]) return;
    event.preventDefault();
    deeds[event.key]();
  });
  plot.tabIndex = 0;
  plot.setAttribute("role", "group");
  plot.setAttribute("aria-keyshortcuts", "+ - ArrowLeft ArrowRight Shift+ArrowLeft Shift+ArrowRight Escape");
  plot.setAttribute("aria-label", plot.querySelector("svg").getAttribute("aria-label"));
  return { plot, draw };
}

const zoomables = [...document.querySelectorAll(".plot[data-x]")]
  .map((plot) => [plot, readOut(plot)])
  .filter(([plot]) => !plot.dataset.x.startsWith("named"))
  .map(([plot, reading]) => zoomable(plot, reading));
