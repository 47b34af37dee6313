"""The transport within one machine: spawned processes, and memory that they share."""
