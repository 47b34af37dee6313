"""Several runs, or a part of one, for one question: repeats, the peak, a check against theory, a step alone.

They play runs and give data; what is printed of it is the command line's. They import play and the analysis.
"""
