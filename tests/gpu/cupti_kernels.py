"""Kernels of several kinds, to be run under `ncu` or the bridge; prints what the bridge measures as JSON.

Usage: cupti_kernels.py ncu|bridge
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def make_work() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [
        torch.randn(1 << 26, device="cuda"),
        torch.randn(1 << 26, device="cuda"),
        torch.randn(4096, 4096, device="cuda", dtype=torch.float16),
        torch.randn(8192, 4096, device="cuda"),
        torch.randn(1000, device="cuda"),
    ]


def work(tensors: list[torch.Tensor]) -> None:
    a, b, half, rows, small = tensors
    torch.add(a, b)  # memory-bound, fills the GPU
    half @ half  # tensor cores, few warps
    torch.softmax(rows, -1)  # shared memory, big blocks
    torch.nn.functional.gelu(rows)
    small + 1  # one block an SM at most


def under_ncu(tensors: list[torch.Tensor]) -> None:
    cudart = torch.cuda.cudart()
    cudart.cudaProfilerStart()
    work(tensors)
    torch.cuda.synchronize()
    cudart.cudaProfilerStop()


def under_bridge(tensors: list[torch.Tensor]) -> None:
    from utils.cupti.kernel_counters import count_kernels, trace_kernels

    traced = trace_kernels(lambda: work(tensors))
    counted = count_kernels(lambda: work(tensors))
    rows = [
        {
            **dataclasses.asdict(counts),
            "theoretical_pct": kernel.theoretical_occupancy_pct,
            "traced": kernel.name,
        }
        for counts, kernel in zip(counted, traced, strict=True)
    ]
    print(json.dumps(rows))


def main() -> None:
    tensors = make_work()
    work(tensors)
    torch.cuda.synchronize()
    {"ncu": under_ncu, "bridge": under_bridge}[sys.argv[1]](tensors)


if __name__ == "__main__":
    main()
