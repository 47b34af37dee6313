"""Front ends: protocols that clients speak to a live pipeline."""
