"""Runs over several machines: the process on each of them, and what starts it there."""
