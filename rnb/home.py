"""Where the steps, decoders and configs are that come with RnB."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "_home"

HOME = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
"""The folder of models/, nvvl/, utils/, config/: beside this file once it is installed, else the checkout."""


def find(path: str) -> str:
    """The path of a file; one that is not below the current folder may be below `HOME`."""
    return path if Path(path).exists() or not (HOME / path).exists() else str(HOME / path)
