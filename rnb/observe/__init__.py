"""What is seen while a run plays: telemetry, occupancy, the machine it plays on.

`observer` has the protocol; an implementation is one file. It imports plans, the transport's interfaces and
records.
"""
