"""Flags, exit statuses, signals and what is printed: everything that belongs to a terminal and to no run.

Nothing imports it but the programs at the root.
"""
