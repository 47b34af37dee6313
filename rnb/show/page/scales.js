"use strict";
// The scales of a chart, as the page's markup tells them, and figures in words.

const LEVELS = {
  linear: { to: (v) => v, from: (v) => v },
  named: { to: (v) => v, from: (v) => v },
  log: { to: Math.log10, from: (v) => 10 ** v },
  percentile: { to: (v) => -Math.log10(1 - v), from: (v) => 1 - 10 ** -v },
};

function scaleOf(text) {
  const [kind, low, high, ...unit] = text.split(" ");
  const { to, from } = LEVELS[kind];
  const [start, end] = [to(Number(low)), to(Number(high))];
  const value = (place) => from(start + place * (end - start));
  const place = (of) => (to(of) - start) / (end - start);
  return { kind, value, place, unit: unit.join(" "), finest: Math.abs(value(1) - value(0.9999)) };
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
