"""What is printed: tables and sentences of what rnb.analysis found, as texts; nothing here prints.

It imports rnb.analysis, rnb.record and rnb.contract.
"""
