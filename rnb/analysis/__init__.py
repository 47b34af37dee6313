"""What the figures of a run say: every module takes a run, or its arrays, and computes."""
