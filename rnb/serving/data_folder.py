"""Files that requests name: those under one folder, and no others."""

from __future__ import annotations

import os

from rnb.serving.refusal import Refusal


class DataFolder:
    """The folder of --data."""

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)

    def find(self, name: bytes) -> str:
        """The path of a file, named from the folder. Raises Refusal for one that is not in it.

        What a link leads to must be in it too. Whether a file outside is there is not told.
        """
        try:
            text = name.decode()
        except UnicodeDecodeError:
            raise Refusal("PATH: not UTF-8") from None
        refusal = Refusal(f"PATH: no file {text!r:.300} in the data folder")
        if not text or "\0" in text or os.path.isabs(text) or ".." in text.split("/"):
            raise refusal
        try:
            path = os.path.realpath(os.path.join(self._root, text), strict=True)
        except OSError:
            raise refusal from None
        if not path.startswith(self._root.rstrip("/") + "/") or not os.path.isfile(path):
            raise refusal
        return path
