"""A closer look at a chart, by pointer and by keyboard, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnb.show.page.page import write_page
from tests.support.browser import Browser
from tests.support.pages import alone, compared, sweep
from tests.support.simulated_runs import simulate

NUM_SECONDS = 3_000 / 180
TIME = "[...document.querySelectorAll('.plot')].findIndex(p => p.parentElement.textContent.includes('{}'))"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    write_page(folder / "one.html", alone(simulate(num_requests=3_000)))
    write_page(folder / "sweep.html", compared(sweep(4)))
    return {name: folder / f"{name}.html" for name in ("one", "sweep")}


def plot(browser: Browser, caption: str) -> str:
    """How JavaScript gets the chart."""
    at = browser.evaluate(TIME.format(caption))
    assert at >= 0, caption
    return f"document.querySelectorAll('.plot')[{at}]"


def box(browser: Browser, chart: str) -> list[float]:
    """Left, top, width and height, after scrolling to it."""
    found: list[float] = browser.evaluate(
        f"(() => {{ {chart}.scrollIntoView({{block: 'center'}}); const box = {chart}.getBoundingClientRect();"
        " return [box.left, box.top, box.width, box.height]; })()"
    )
    return found


def drag(browser: Browser, chart: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Between two places, as shares of its width and height."""
    left, top, width, height = box(browser, chart)
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    kinds = (("mousePressed", start), ("mouseMoved", middle), ("mouseMoved", end), ("mouseReleased", end))
    for kind, (x, y) in kinds:
        browser.call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=left + x * width,
            y=top + y * height,
            button="left",
            buttons=1,
            clickCount=1,
        )


def press(browser: Browser, chart: str, *keys: str) -> None:
    browser.evaluate(f"{chart}.focus()")
    for key in keys:
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key=key, **(text if kind == "keyDown" else {}))


def seen(browser: Browser, chart: str) -> list[float]:
    """x, y, width and height of what is drawn, in shares of the whole."""
    found: str = browser.evaluate(f"{chart}.querySelector('.marks').getAttribute('viewBox')")
    return [float(number) / 10_000 for number in found.split()]


def ticks(browser: Browser, chart: str, axis: str) -> list[Any]:
    found: list[Any] = browser.evaluate(
        f"[...{chart}.querySelectorAll('.{axis} text')].map(one => one.textContent)"
    )
    return found


def test_a_drag_chooses_a_stretch_and_escape_goes_back(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["one"])
    chart = plot(browser, "Latency over time")
    before = ticks(browser, chart, "x")
    drag(browser, chart, (0.25, 0.5), (0.5, 0.5))
    assert seen(browser, chart) == pytest.approx([0.25, 0, 0.25, 1], abs=0.005)
    seconds = [float(tick.split()[0]) for tick in ticks(browser, chart, "x")]
    assert len(seconds) >= 4
    assert NUM_SECONDS * 0.2 < min(seconds) < max(seconds) < NUM_SECONDS * 0.55
    press(browser, chart, "Escape")
    assert seen(browser, chart) == [0, 0, 1, 1]
    assert ticks(browser, chart, "x") == before


def test_a_slanting_drag_chooses_a_part_of_both_axes(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["one"])
    chart = plot(browser, "Latency over time")
    drag(browser, chart, (0.25, 0.5), (0.75, 1.0))
    assert seen(browser, chart) == pytest.approx([0.25, 0.5, 0.5, 0.5], abs=0.01)
    assert ticks(browser, chart, "y")


def test_all_charts_of_the_time_move_together(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["one"])
    first, others = plot(browser, "Latency over time"), ("Throughput over time", "Queue depth over time")
    press(browser, first, "+")
    for other in others:
        assert seen(browser, plot(browser, other)) == [0.25, 0, 0.5, 1]
    assert seen(browser, plot(browser, "Latency by percentile")) == [0, 0, 1, 1]


def test_the_keyboard_zooms_moves_and_goes_back(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["one"])
    chart = plot(browser, "Latency by percentile")
    steps = [("+", [0.25, 0.5]), ("+", [0.375, 0.25]), ("ArrowRight", [0.4375, 0.25])]
    steps += [("ArrowLeft", [0.375, 0.25]), ("-", [0.25, 0.5]), ("-", [0, 1]), ("-", [0, 1])]
    for key, (start, width) in steps:
        press(browser, chart, key)
        assert seen(browser, chart)[::2] == [start, width]
    press(browser, chart, "+", "Escape")
    assert seen(browser, chart) == [0, 0, 1, 1]


def test_it_moves_no_further_than_the_ends(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["one"])
    chart = plot(browser, "Latency over time")
    press(browser, chart, "+", *["ArrowRight"] * 5)
    assert seen(browser, chart)[::2] == [0.5, 0.5]
    press(browser, chart, *["+"] * 30)
    assert seen(browser, chart)[2] == pytest.approx(0.002)


def test_what_stands_at_a_value_moves_with_it_or_is_hidden(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["sweep"])
    chart = plot(browser, "Throughput against p99")
    marks = f"[...{chart}.querySelectorAll('.mark')]"
    places = browser.evaluate(f"{marks}.map(one => parseFloat(one.getAttribute('x')))")
    drag(browser, chart, (0.0, 0.5), (0.5, 0.5))
    hidden = browser.evaluate(f"{marks}.map(one => one.classList.contains('beyond'))")
    assert hidden == [place > 50 for place in places]
    moved = browser.evaluate(f"{marks}.map(one => parseFloat(one.getAttribute('x')))")
    assert moved == pytest.approx([2 * place for place in places], abs=1.5)


def test_the_keyboard_reads_values(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["one"])
    chart = plot(browser, "Latency by percentile")
    press(browser, chart, "ArrowRight")
    lines = browser.evaluate(
        "[...document.querySelectorAll('.tip:not(.hidden) div')].map(x => x.textContent)"
    )
    assert lines[0].startswith("p9")
    assert lines[1].startswith("latency: ")
    assert browser.evaluate("document.querySelector('.tip:not(.hidden)').getAttribute('role')") == "status"


def test_every_mark_and_line_is_reached_by_tab_and_says_what_it_is(
    browser: Browser, pages: dict[str, Path]
) -> None:
    for page in pages.values():
        browser.open(page, scripts=False)
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
        silent = (
            "[...document.querySelectorAll('[role=img], .mark, .column')]"
            ".filter(one => one.tabIndex !== 0 || !/\\d/.test(one.getAttribute('aria-label')))"
            ".map(one => one.outerHTML.slice(0, 80))"
        )
        assert browser.evaluate(silent) == []
        assert browser.evaluate("document.querySelectorAll('.mark, .column').length") > 10
