"""Elements as text, in which nobody's text can become markup."""

from __future__ import annotations

import pytest

from rnb.show.page.markup import Markup, join, per_cent, tag

EVIL = "<script>alert('1')</script>\"&"


def test_text_and_attributes_are_escaped() -> None:
    element = tag("p", EVIL, title=EVIL)
    assert element == (
        '<p title="&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&quot;&amp;">'
        "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&quot;&amp;</p>"
    )


def test_elements_nest_and_are_escaped_once() -> None:
    assert tag("ul", [tag("li", "a < b"), None, [tag("li", 3)]]) == "<ul><li>a &lt; b</li><li>3</li></ul>"


def test_names_of_attributes() -> None:
    assert tag("line", x1=0, stroke_width=2, class_="grid") == '<line x1="0" stroke-width="2" class="grid"/>'


def test_attributes_that_are_left_out() -> None:
    assert tag("details", open=True, hidden=False, id=None) == "<details open></details>"


def test_elements_that_have_no_end() -> None:
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_joined_parts_are_markup() -> None:
    assert join(tag("b", "x"), " & ", 1.5) == "<b>x</b> &amp; 1.5"
    assert isinstance(join("x"), Markup)


@pytest.mark.parametrize(
    ("fraction", "text"), [(0, "0%"), (1, "100%"), (0.25, "25%"), (1 / 3, "33.33%"), (-0.5, "-50%")]
)
def test_coordinates(fraction: float, text: str) -> None:
    assert per_cent(fraction) == text
