"""Open a page in the browser to try a server with: demo.py --server http://127.0.0.1:8000"""

import sys

from rnb.command_line.early import end_on_interrupt

if __name__ == "__main__":
    end_on_interrupt()

from rnb.command_line.demo import main

if __name__ == "__main__":
    sys.exit(main())
