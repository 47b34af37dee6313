"""Tables: text to the left, figures under each other."""

from __future__ import annotations

from collections.abc import Sequence

from rnb.show.page.markup import Content, Markup, tag


def table(
    header: Sequence[Content], rows: Sequence[Sequence[Content]], *, num_text_columns: int = 1
) -> Markup:
    """The first `num_text_columns` hold text, the others figures; too wide a table scrolls by itself."""
    head = tag("tr", [_cell("th", i, cell, num_text_columns, "col") for i, cell in enumerate(header)])
    body = [_row(row, num_text_columns) for row in rows]
    inner = tag("table", tag("thead", head), tag("tbody", body))
    return tag("div", inner, class_="scroll", tabindex=0)


def _row(row: Sequence[Content], num_text_columns: int) -> Markup:
    """Its first cell says what the others are about."""
    first = _cell("th", 0, row[0], num_text_columns, "row")
    others = [_cell("td", i, cell, num_text_columns) for i, cell in enumerate(row[1:], 1)]
    return tag("tr", first, others)


def _cell(name: str, index: int, content: Content, num_text_columns: int, scope: str | None = None) -> Markup:
    return tag(name, content, class_=None if index < num_text_columns else "figure", scope=scope)


def facts(entries: Sequence[tuple[str, Content]]) -> Markup:
    """Names and what they are."""
    return tag("dl", [[tag("dt", name), tag("dd", value)] for name, value in entries])


def details(summary: Content, *content: Content, is_open: bool = False) -> Markup:
    return tag("details", tag("summary", summary), *content, open=is_open)
