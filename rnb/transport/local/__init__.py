"""The transport within one machine: processes, and memory that they share."""
