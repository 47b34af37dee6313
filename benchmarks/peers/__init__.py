"""RnB beside other systems on the same work: `python -m benchmarks.peers`; see docs/peers.md."""
