"""results.jsonl: the results of requests that are no classes, a line each."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_results(results: Mapping[int, Any], path: Path) -> None:
    """Each result is bytes, or what JSON knows. Raises OSError."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(_line(request_id, result) for request_id, result in results.items())


def _line(request_id: int, result: Any) -> str:
    if isinstance(result, bytes):
        told = {"base64": base64.b64encode(result).decode()}
    else:
        told = {"result": result}
    return json.dumps({"request_id": int(request_id), **told}) + "\n"


def read_results(path: Path) -> dict[int, Any]:
    """None of a file that is not there. Raises OSError, and ValueError for a damaged one."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8") as file:
        return dict(_parse(number, line) for number, line in enumerate(file, 1))


def _parse(number: int, line: str) -> tuple[int, Any]:
    try:
        told = json.loads(line)
        data = base64.b64decode(told["base64"]) if "base64" in told else told["result"]
        return told["request_id"], data
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"results.jsonl line {number}: no result") from None
