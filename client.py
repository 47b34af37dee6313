"""The client alone: how punctually does it send on this machine? client.py -mi 1 -v 5000

The client is the process that plays the schedule: each request goes into the filename queue when it is due,
whether the pipeline keeps up or not. Its code is rnb/processes/sender.py. Here its load goes to a step that
does nothing; flags and report are those of benchmark.py, and 'lateness of the client' is the row to look at.
"""

import gc
import sys

gc.disable()  # until all is imported; see rnb.processes.child.resume_garbage_collection

from rnb.command_line.early import end_on_interrupt  # noqa: E402

if __name__ == "__main__":
    end_on_interrupt()

from rnb.command_line.alone import client  # noqa: E402

if __name__ == "__main__":
    sys.exit(client())
