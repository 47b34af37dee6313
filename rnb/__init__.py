"""What RnB's processes share, one concept per file."""
