"""What people see of a run: text, the page, the trace, and how it is getting on.

It imports rnb.analysis, rnb.record, rnb.contract and the protocol of observers, and computes nothing that is
worth knowing elsewhere.
"""
