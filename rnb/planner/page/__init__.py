"""The pages of optimize.py: what a search found, and why a config is as fast as it is. A module a section."""
