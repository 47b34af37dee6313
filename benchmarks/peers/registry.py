"""The peers by name, in the order in which they are played: RnB first, as the others are compared with it."""

from __future__ import annotations

from importlib import import_module

from benchmarks.peers.peer import Peer

PEERS = {
    "rnb": "benchmarks.peers.rnb_run.RnbRun",
    "torch": "benchmarks.peers.torch_loop.TorchLoop",
    "torch-nvdec": "benchmarks.peers.torch_nvdec.TorchNvdec",
    "triton": "benchmarks.peers.triton_ensemble.TritonEnsemble",
    "ray": "benchmarks.peers.ray_actors.RayActors",
    "litserve": "benchmarks.peers.litserve_server.LitServe",
}


def peer_class(path: str) -> type[Peer]:
    """Imported only in the process that plays it: what one needs, the others may lack."""
    module, _, name = path.rpartition(".")
    found: type[Peer] = getattr(import_module(module), name)
    return found
