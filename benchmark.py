"""RnB's driver: plays a load through a pipeline and says how it went. What it does is in rnb/command_line.

             filename queue          frame queues: one, one per GPU, or by group
client.py ──────────────────▶ runner.py ───────────────▶ runner.py ──▶ … ──▶ logs/
plays the schedule           step 0: the loader        steps 1…n: the network, in parts
"""

import gc
import sys

gc.disable()  # until all is imported; see rnb.processes.child.resume_garbage_collection

from rnb.command_line.early import end_on_interrupt  # noqa: E402

if __name__ == "__main__":
    end_on_interrupt()

from rnb.command_line.benchmark import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
