"""What `rnb.perfetto_trace` writes its parts with."""
