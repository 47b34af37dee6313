"""The page in a real browser: nothing goes wrong, nothing is asked of the network, what is drawn is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnb.show.page.page import write_page
from rnb.show.page.subject import Subject
from tests.support.browser import Browser
from tests.support.pages import alone, compared
from tests.support.simulated_runs import simulate

PAGES = ("one", "two", "many")
COMPLAINTS = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}

OUTSIDE = """
(() => {
  const outside = [];
  for (const plot of document.querySelectorAll('.plot')) {
    const frame = plot.getBoundingClientRect();
    if (!frame.width) continue;  // in a part that is folded up
    const shapes = plot.querySelectorAll('.marks path');
    if (!shapes.length && !plot.querySelector('.mark'))
      outside.push('no marks in ' + plot.parentElement.textContent.slice(0, 40));
    for (const shape of shapes) {
      const box = shape.getBoundingClientRect();
      const view = shape.ownerSVGElement.viewBox.baseVal, inside = shape.getBBox();
      if (box.left < frame.left - 5 || box.right > frame.right + 5 || box.top < frame.top - 5
          || box.bottom > frame.bottom + 5 || inside.x < view.x || inside.x + inside.width > view.width
          || inside.y < view.y || inside.y + inside.height > view.height)
        outside.push(shape.getAttribute('d').slice(0, 60));
    }
  }
  for (const bar of document.querySelectorAll('.bar > svg')) {
    const frame = bar.getBoundingClientRect();
    for (const shape of bar.querySelectorAll('rect, circle')) {
      const box = shape.getBoundingClientRect();
      if (box.left < frame.left - 6 || box.right > frame.right + 6) outside.push(shape.outerHTML);
    }
  }
  return outside;
})()
"""
SMALL_TEXTS = """
[...document.querySelectorAll('body *')].filter(one => one.checkVisibility()
  && [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
  && parseFloat(getComputedStyle(one).fontSize) < 12).map(one => one.outerHTML.slice(0, 80))
"""
FAINT_TEXTS = """
(() => {
  const values = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => values(colour).slice(0, 3).map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = luminance(getComputedStyle(document.body).backgroundColor);
  const contrast = (one) => {
    const style = getComputedStyle(one);
    const own = luminance(one instanceof SVGElement ? style.fill : style.color);
    return (Math.max(own, behind) + 0.05) / (Math.min(own, behind) + 0.05);
  };
  const texts = 'p, td, th, li, dt, dd, h1, h2, figcaption, .plot .x text, .plot .y text';
  return [...document.querySelectorAll(texts)]
    .filter((one) => one.checkVisibility() && contrast(one) < 4.5).map((one) => one.outerHTML.slice(0, 80));
})()
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, twenty: list[Subject]) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    subjects: dict[str, list[Subject]] = {
        "one": alone(simulate()),
        "two": compared([simulate("logs/a"), simulate("logs/b", speed=1.1, flags={"batch_size": 4})]),
        "many": twenty,
    }
    for name, shown in subjects.items():
        write_page(folder / f"{name}.html", shown)
    return {name: folder / f"{name}.html" for name in subjects}


def methods(browser: Browser, *names: str) -> list[Any]:
    """What the browser reported under these names since the page was opened."""
    return [event["params"] for event in browser.events if event.get("method") in names]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_it_opens_without_complaint_and_without_network(
    browser: Browser, pages: dict[str, Path], name: str, theme: str
) -> None:
    browser.open(pages[name], theme=theme)
    assert browser.evaluate("document.querySelectorAll('.plot').length") >= 2
    assert methods(browser, *COMPLAINTS) == []
    requested = [one["request"]["url"] for one in methods(browser, "Network.requestWillBeSent")]
    assert requested == [pages[name].as_uri()]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_all_is_seen_on_narrow_and_on_wide_screens(
    browser: Browser, pages: dict[str, Path], name: str, theme: str
) -> None:
    browser.open(pages[name], theme=theme, width=380)
    for width in (380, 1600):
        browser.resize(width)
        assert browser.evaluate(OUTSIDE) == []
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(SMALL_TEXTS) == []
    assert browser.evaluate(FAINT_TEXTS) == []


def test_the_themes_differ(browser: Browser, pages: dict[str, Path]) -> None:
    colours = []
    for theme in ("light", "dark"):
        browser.open(pages["one"], theme=theme)
        colours.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
        colours.append(browser.evaluate("getComputedStyle(document.querySelector('.marks path')).stroke"))
    assert colours[0] == "rgb(255, 255, 255)"
    assert len(set(colours)) == 4


def test_it_says_the_same_without_scripts(browser: Browser, pages: dict[str, Path]) -> None:
    texts = []
    for scripts in (True, False):
        browser.open(pages["two"], scripts=scripts)
        texts.append(browser.text())
    assert "Where the time goes" in texts[0]
    assert texts[0] == texts[1]


def test_the_pointer_reads_the_lines(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["two"])
    place = browser.evaluate(
        "(() => { const plot = [...document.querySelectorAll('.plot')]"
        ".find(one => one.parentElement.textContent.includes('by percentile')); plot.scrollIntoView();"
        " const box = plot.getBoundingClientRect(); return [box.right - 1, box.top + 20]; })()"
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    lines = browser.evaluate(
        "[...document.querySelectorAll('.tip:not(.hidden) div')].map(one => one.textContent)"
    )
    curves = [run.findings.latency for run in compared([simulate("logs/a"), simulate("logs/b", speed=1.1)])]
    assert lines[0] == "p99.0"
    for line, letter, curve in zip(lines[1:], "AB", curves, strict=True):
        assert curve is not None
        name, value, unit = line.split()
        assert (name, unit) == (f"{letter}:", "ms")
        assert float(value) == pytest.approx(curve.latencies_ms[-1], rel=0.01)


def test_a_run_can_be_switched_off_and_on(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["two"])
    seen = "[...document.querySelectorAll('[data-run=B]')].filter(one => one.getClientRects().length).length"
    before = browser.evaluate(seen)
    assert before > 5
    click = "document.querySelector('[data-toggle=B]').click()"
    browser.evaluate(click)
    assert browser.evaluate(seen) == 0
    browser.evaluate(click)
    assert browser.evaluate(seen) == before
