"""What the CUPTI bridge raises; importable where it is not built, so that callers can always catch it."""

from __future__ import annotations


class CuptiError(RuntimeError):
    """A CUPTI call failed; the message names the function, CUPTI's code and, where one is known, the remedy.

    `function` is the C function that failed and `code` its CUptiResult (0 where no call was reached).
    """

    def __init__(self, message: str, function: str = "", code: int = 0) -> None:
        super().__init__(message)
        self.function = function
        self.code = code


class CuptiUnavailable(CuptiError):
    """This machine does not offer what was asked: no bridge, no GPU, no permission, an unsupported device.

    A caller prints the one line and goes on without it.
    """
