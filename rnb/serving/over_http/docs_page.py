"""The description of the HTTP side as a page, without a script and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "code,pre{font-family:ui-monospace,monospace;background:#f4f4f4}pre{padding:.8em;overflow:auto}"
    "table{border-collapse:collapse}td,th{padding:.2em .8em .2em 0;text-align:left;vertical-align:top}"
    "h2 code{background:none}b{color:#06c}"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}code,pre{background:#262626}}"
)


def render(description: dict[str, Any]) -> str:
    title = escape(description["info"]["title"])
    return "".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>',
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><h1>{title}</h1>',
            f"<p>{escape(description['info']['description'])}",
            ' <a href="openapi.json">openapi.json</a> describes it for programs.</p>',
            *_routes(description["paths"]),
            "</html>",
        ]
    )


def _routes(paths: dict[str, Any]) -> Iterator[str]:
    for path, methods in paths.items():
        for method, route in methods.items():
            yield f"<h2><b>{method.upper()}</b> <code>{escape(path)}</code></h2>"
            yield f"<p>{escape(route['summary'])}</p>"
            yield _curl(path, method, route)
            yield _table("Parameter", {one["name"]: one["in"] for one in route.get("parameters", ())})
            told = {status: one["description"] for status, one in route["responses"].items()}
            yield _table("Status", told)


def _curl(path: str, method: str, route: dict[str, Any]) -> str:
    types = list(route.get("requestBody", {}).get("content", ()))
    body = f" -H 'Content-Type: {types[0]}' --data-binary @FILE" if types else ""
    post = " -X POST" if method == "post" and not types else ""
    note = f"<p>Content-Type: {escape(', '.join(types))}</p>" if types else ""
    return f"<pre>curl{post}{escape(body)} http://HOST:PORT{escape(path)}</pre>{note}"


def _table(head: str, rows: dict[str, str]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><td><code>{escape(key)}</code><td>{escape(text)}" for key, text in rows.items())
    return f"<table><tr><th>{head}<th>{lines}</table>"
