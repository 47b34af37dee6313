"""A step whose module shoots when a runner imports it, as the driver has done before."""

import multiprocessing

from tests.robustness.shooting import Shooter, come_to

__all__ = ["Shooter"]

if multiprocessing.parent_process() is not None:
    come_to("import")
