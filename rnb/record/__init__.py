"""A run as data: in memory (`Run`), what it was (`RunMeta`), and as the folder that it leaves.

It imports nothing of RnB but rnb.contract; what the figures say is for rnb.analysis.
"""
