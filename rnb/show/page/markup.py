"""HTML and SVG as text, in which whatever is not Markup already is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content: TypeAlias = "str | int | float | Iterable[Content] | None"
"""Children of an element: text is escaped, Markup is not, None leaves nothing."""
Attribute: TypeAlias = "str | int | float | bool | None"

_VOID = frozenset({"meta", "link", "br"})
_SHAPES = frozenset({"path", "line", "rect", "circle", "use"})


def tag(name: str, /, *content: Content, **attributes: Attribute) -> Markup:
    """One element. `stroke_width` is stroke-width, `class_` is class; None and False leave it out."""
    opening = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}"
    if name in _SHAPES and not content:
        return Markup(f"{opening}/>")
    return Markup(f"{opening}>" if name in _VOID else f"{opening}>{join(*content)}</{name}>")


def join(*content: Content) -> Markup:
    """The parts one after the other."""
    return Markup("".join(map(_part, content)))


def _part(content: Content) -> str:
    if isinstance(content, Markup):
        return content
    if content is None:
        return ""
    if isinstance(content, str | int | float):
        return escape(str(content))
    return join(*content)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def per_cent(fraction: float) -> str:
    """A coordinate: 0.25 is '25%'."""
    return f"{100 * fraction:.2f}".rstrip("0").rstrip(".") + "%"
