"""Steps and selectors written for snuspl/rnb, or for RnB 0.1, under today's contract.

`upstream/` holds modules under the names that code for snuspl/rnb imports; `rnb.pipeline.importer` finds
them.
"""
