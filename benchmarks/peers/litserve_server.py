"""LitServe: workers that each decode a batch in threads and then run the network on it.

By its guides ("Batching", "Speed up serving"): `max_batch_size` and a `batch_timeout` of 2 ms, and several
`workers_per_device`, so that one decodes while another computes; the videos of a batch are decoded by threads
in `batch`, since `decode_request` is called for one after the other. Each worker has a network of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from benchmarks.peers.http_client import play_over_http, wait_until_ready
from benchmarks.peers.peer import Peer, Played, need
from benchmarks.peers.processes import ask_from, serve_on
from benchmarks.peers.work import Arrival
from benchmarks.triton import free_port


class LitServe(Peer):
    def start(self) -> None:
        need("litserve", "litserve==0.2.19")
        need("aiohttp", "aiohttp")
        port = free_port()
        serve_on(self.work.cores)
        app = [sys.executable, "-m", "benchmarks.peers.litserve_app", str(self.work_file), str(port)]
        server = subprocess.Popen(app)
        self.ending.callback(server.terminate)
        ask_from(self.work.cores)
        self._url = f"http://127.0.0.1:{port}"
        wait_until_ready(server, f"{self._url}/health")

    def play(self, arrivals: Sequence[Arrival]) -> Played:
        return play_over_http(
            f"{self._url}/predict",
            arrivals,
            lambda request: {"request": request},
            lambda answer: int(answer["label"]),
        )
