"""Reads what the classes of a network are called."""

from __future__ import annotations


def read_class_names(
    path: str, num_classes: int | None = None, option: str = "class_names"
) -> tuple[str, ...]:
    """The names by label, from a text file with one a line, which the config names with this option.

    Raises ValueError for a file that cannot be read, has an empty line, or not `num_classes` of them.
    """
    try:
        with open(path, encoding="utf-8") as file:
            names = tuple(line.strip() for line in file)
    except OSError as error:
        raise ValueError(f"{option}: {path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{option}: {path}: not a text in UTF-8") from None
    if not names or not all(names):
        empty = names.index("") + 1 if names else 1
        raise ValueError(f"{option}: {path}: line {empty} has no name")
    if num_classes is not None and len(names) != num_classes:
        raise ValueError(f"{option}: {path}: {len(names)} names, but num_classes is {num_classes}")
    return names
