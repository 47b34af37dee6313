"""The sections of the page, one a file: `section(runs)` is its HTML, or None where it has nothing to show."""
