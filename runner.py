"""One step alone: how fast is it by itself? runner.py -c config/r2p1d-whole.json --step 1 -mi 0 -v 500

A runner is the process of one replica of a step: it takes requests from a queue, calls the step, and hands on
what that gives. Its code is rnb/processes/runner.py and worker.py. Here one step of a pipeline gets made-up
input, the first one the videos; flags and report are those of benchmark.py.
"""

import gc
import sys

gc.disable()  # until all is imported; see rnb.processes.child.resume_garbage_collection

from rnb.command_line.early import end_on_interrupt  # noqa: E402

if __name__ == "__main__":
    end_on_interrupt()

from rnb.command_line.alone import runner  # noqa: E402

if __name__ == "__main__":
    sys.exit(runner())
