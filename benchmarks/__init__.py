"""One command each for what bounds a pipeline: the harness alone, the hand-off, the decoders, the network."""
