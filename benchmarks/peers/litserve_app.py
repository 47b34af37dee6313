"""The server of the peer litserve: `python -m benchmarks.peers.litserve_app WORK PORT`."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import litserve
import torch

from benchmarks.peers.classifier import Classifier
from benchmarks.peers.plain_decoder import PlainDecoder
from benchmarks.peers.work import Work

BATCH_SIZE, BATCH_TIMEOUT_S = 8, 0.002
THREADS = 2
"""That decode in a worker; more of them wait for the GIL."""


class Api(litserve.LitAPI):  # type: ignore[misc]
    """Of one worker, which gets it pickled."""

    def __init__(self, work: Work) -> None:
        super().__init__(max_batch_size=BATCH_SIZE, batch_timeout=BATCH_TIMEOUT_S)
        self.work = work

    def setup(self, device: str) -> None:
        torch.set_num_threads(max(1, len(self.work.cores) // num_workers(self.work)))
        self.threads = ThreadPoolExecutor(THREADS)
        self.classifier = Classifier(self.work)

    def decode_request(self, request: dict[str, int]) -> int:
        return request["request"]

    def batch(self, requests: list[int]) -> list[torch.Tensor]:
        return list(self.threads.map(self.clips, requests))

    def clips(self, request: int) -> torch.Tensor:
        return torch.from_numpy(PlainDecoder(self.work).clips(request))

    def predict(self, clips: list[torch.Tensor]) -> list[int]:
        return self.classifier.labels(clips)

    def unbatch(self, labels: list[int]) -> list[int]:
        return labels

    def encode_response(self, label: int) -> dict[str, int]:
        return {"label": label}


def num_workers(work: Work) -> int:
    return max(1, work.workers // THREADS)


def main(work_file: str, port: int) -> None:
    work = Work.read(work_file)
    server = litserve.LitServer(
        Api(work),
        accelerator=work.device,
        devices=1,
        workers_per_device=num_workers(work),
        timeout=False,
    )
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
