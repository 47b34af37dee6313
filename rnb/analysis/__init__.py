"""What the figures of a run say: every module takes a run, or its arrays, and computes.

It imports NumPy, SciPy, rnb.contract and rnb.record, and gives back numbers and facts; how they look is for
rnb.show.
"""
