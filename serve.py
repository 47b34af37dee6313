"""Put a pipeline behind HTTP and gRPC: serve.py -c CONFIG. What it does is in rnb/command_line."""

import gc
import sys

gc.disable()  # until all is imported; see rnb.processes.child.resume_garbage_collection

from rnb.command_line.early import end_on_interrupt  # noqa: E402

if __name__ == "__main__":
    end_on_interrupt()

from rnb.command_line.serve import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
