"""Attacks on RnB: each draws cases from seeds, and every case says what it counts and what went wrong.

`make torture` runs all of them for long; `python -m tests.robustness --help` says how to run some, or one
case again.
"""
