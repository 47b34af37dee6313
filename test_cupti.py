#!/usr/bin/env python
"""Prints the kernels of one convolution (name, start, end) and the occupancy that each reached.

    ./build_cupti.sh && python test_cupti.py

Exit status 0, also where the kernels are traced but the counters are not permitted (one line says so);
1 where tracing is not possible: the bridge is not built, or there is no GPU (one line on stderr says which).
"""

from __future__ import annotations

import sys

import torch

from utils.cupti.bridge import open_cupti
from utils.cupti.errors import CuptiUnavailable
from utils.cupti.kernel_counters import CountedKernel, count_kernels


def make_convolution() -> tuple[torch.nn.Module, torch.Tensor]:
    """A convolution of the first layer of R(2+1)D and a clip for it, on the GPU, run once."""
    convolution = torch.nn.Conv3d(3, 45, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3)).cuda()
    clip = torch.randn(1, 3, 8, 112, 112, device="cuda")
    with torch.no_grad():
        convolution(clip)
    torch.cuda.synchronize()
    return convolution, clip


def print_counters(kernels: list[CountedKernel]) -> None:
    print(f"\n{'occupancy':>9} {'SM':>6} {'tensor':>6} {'DRAM':>6}  kernel (% of peak)")
    for kernel in kernels:
        shares = f"{kernel.sm_throughput_pct:6.1f} {kernel.tensor_pct:6.1f} {kernel.dram_pct:6.1f}"
        print(f"{kernel.occupancy_pct:9.1f} {shares}  {kernel.name}")


def main() -> int:
    try:
        cupti = open_cupti()
        cupti.initialize()
    except CuptiUnavailable as error:
        print(f"test_cupti.py: {error}", file=sys.stderr)
        return 1
    convolution, clip = make_convolution()
    cupti.flush()
    cupti.clear()  # what made the convolution is not of interest
    with torch.no_grad():
        convolution(clip)
        cupti.flush()
        for name, start_ns, end_ns in cupti.report():
            print(name, start_ns, end_ns)
        print(f"{cupti.num_dropped()} records dropped")
        cupti.finalize()
        try:
            print_counters(count_kernels(lambda: convolution(clip)))
        except CuptiUnavailable as error:
            print(f"no achieved occupancy: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
