"""snuspl/rnb's `control` module, as far as steps use it."""

from rnb.contract.termination import Termination as TerminationFlag

__all__ = ["TerminationFlag"]
