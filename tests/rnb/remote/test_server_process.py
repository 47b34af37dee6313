"""Who listens at an address of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from rnb.remote.address import Address
from rnb.remote.server_process import server_pids

SERVER = """
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
subprocess.run([sys.executable, "-c", "input()"])
"""


def test_a_server_is_found_with_what_it_has_started() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        found: dict[str, int] = {}
        while len(found) < 2:  # until it has started its child
            found = server_pids(Address("http", "localhost", port))
        assert server.pid in found.values()
        assert sorted(found) == ["server", "server 1"]
        server.communicate("\n")


def test_this_process_is_no_server_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert (
            os.getpid() not in server_pids(Address("http", "127.0.0.1", listener.getsockname()[1])).values()
        )


def test_a_server_elsewhere_is_not_looked_for() -> None:
    assert server_pids(Address("http", "192.0.2.1", 80)) == {}
    assert server_pids(Address("http", "no-such-host.invalid", 80)) == {}
