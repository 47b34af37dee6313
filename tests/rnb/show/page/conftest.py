"""A page of many runs, and a browser to open it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rnb.show.page.subject import Subject
from tests.support.browser import Browser, find_browser, headless
from tests.support.pages import compared, sweep


@pytest.fixture(scope="session")
def twenty() -> list[Subject]:
    return compared(sweep(20))


# Closed with its module: an open browser takes both cores from the timed tests that follow.
@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.skip("needs Chromium on the PATH (Debian: apt-get install chromium)")
    with headless(path, tmp_path_factory.mktemp("profile")) as opened:
        yield opened
