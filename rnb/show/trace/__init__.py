"""What `rnb.show.trace.trace` writes its parts with."""

MOST_REQUESTS = 50_000
"""A trace shows no more requests unless it is told to."""
