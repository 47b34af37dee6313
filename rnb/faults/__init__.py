"""Faults that are played on purpose (--fault): which, when, by whom."""
