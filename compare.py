"""Compare runs from their folders: compare.py logs/A logs/B …, or all below a folder: compare.py logs"""

import sys

from rnb.command_line.early import end_on_interrupt

if __name__ == "__main__":
    end_on_interrupt()

from rnb.command_line.compare import main

if __name__ == "__main__":
    sys.exit(main())
