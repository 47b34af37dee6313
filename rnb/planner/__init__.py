"""Finds a placement: profile what the steps take, work candidates out, play the best ones."""
