"""Why a run ends."""

import enum


class Termination(enum.IntEnum):
    """Why a run ended; the first three have the values that snuspl/rnb writes to log-meta.txt."""

    UNSET = -1
    TARGET_NUM_VIDEOS_REACHED = 0
    FILENAME_QUEUE_FULL = 1
    FRAME_QUEUE_FULL = 2
    PROCESS_FAILED = 3
    INTERRUPTED = 4


class UsageError(ValueError):
    """What was asked for cannot be done: one line for the user."""
