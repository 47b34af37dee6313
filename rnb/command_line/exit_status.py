"""What the programs' exit statuses mean."""

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INVALID = 0, 1, 2, 3
"""Done, and VALID or NOT JUDGED; a run failed; a wrong flag or config; done, but INVALID."""
