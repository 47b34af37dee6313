"""The connection between two machines of a run."""
