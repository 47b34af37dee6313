"""Requests to a server that somebody else runs, played as a schedule says."""
