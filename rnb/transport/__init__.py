"""What joins the processes of a run: queues, slots, the table of requests, the stop flag, lines, clocks.

`fabric` has the interfaces; each folder is one way to provide them. It imports the contract alone.
"""
