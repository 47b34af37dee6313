"""Find the placement of a pipeline that serves a goal best: optimize.py -c CONFIG --goal throughput"""

import gc
import sys

gc.disable()  # until all is imported; see rnb.processes.child.resume_garbage_collection

from rnb.command_line.early import end_on_interrupt  # noqa: E402

if __name__ == "__main__":
    end_on_interrupt()

from rnb.command_line.optimize import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
