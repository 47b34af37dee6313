"""The processes of a server on this machine: what they compute is for the run, and no other load."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from rnb.remote.address import Address

LISTENS = "0A"
"""A state in /proc/net/tcp; see proc(5) and the kernel's include/net/tcp_states.h."""


def server_pids(address: Address) -> dict[str, int]:
    """Who listens at the address, and what they have started; empty for a server elsewhere, or of others."""
    if not _is_here(address.host):
        return {}
    sockets = {f"socket:[{inode}]" for inode in _listening(address.port)}
    listeners = {pid for pid in _pids() if sockets and not sockets.isdisjoint(_files(pid))}
    found = _with_descendants(listeners)
    return {"server" if not number else f"server {number}": pid for number, pid in enumerate(sorted(found))}


def _is_here(host: str) -> bool:
    """Whether packets to it stay on this machine: then they come from the address that they go to."""
    with contextlib.suppress(OSError):
        for family, kind, _, _, place in socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM):
            with socket.socket(family, kind) as probe:
                probe.connect(place)  # sends nothing
                if probe.getsockname()[0] == place[0]:
                    return True
    return False


def _listening(port: int) -> set[str]:
    """The inodes of sockets that listen at a port."""
    found = set()
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid()]


def _files(pid: int) -> set[str]:
    """What the process has open; empty where this user may not know."""
    folder, found = f"/proc/{pid}/fd", set()
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"{folder}/{name}"))
    return found


def _with_descendants(pids: set[int]) -> set[int]:
    parents = {pid: _parent(pid) for pid in _pids()}
    found = set(pids)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0
