"""A TCP proxy that does to the connections through it what networks do."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rnb.transport.tcp.address_book import Address

CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Trouble:
    delay_s: float = 0
    """Before each chunk that is passed on."""
    most_bytes: int = CHUNK_BYTES
    """Of a chunk."""
    after_s: float = float("inf")
    """When connections stall or are reset, from when the run began."""
    resets: bool = False
    """Else it stalls: both ends stay open, and nothing passes."""


@dataclass(kw_only=True)
class Proxy:
    """Passes on to one address what comes to a port of its own."""

    target: Address
    trouble: Trouble
    began_s: float = float("inf")
    """When the run did."""
    _sockets: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address: Address = self._listening.getsockname()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._is_closed = threading.Event()
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                ours, _ = self._listening.accept()
            except OSError:
                return
            theirs = socket.create_connection(self.target)
            for one, other in ((ours, theirs), (theirs, ours)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.append(one)
                thread = threading.Thread(target=self._pass_on, args=(one, other), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        source.settimeout(0.1)
        with contextlib.suppress(OSError):
            while not self._is_closed.is_set():
                if time.monotonic() > self.began_s + self.trouble.after_s:
                    return self._end(source)
                try:
                    data = source.recv(self.trouble.most_bytes)
                except TimeoutError:
                    continue
                time.sleep(self.trouble.delay_s)
                if not data:
                    return target.shutdown(socket.SHUT_WR)
                target.sendall(data)
        return None

    def _end(self, source: socket.socket) -> None:
        if not self.trouble.resets:
            self._is_closed.wait()
            return
        source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        source.close()

    def close(self) -> None:
        self._is_closed.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for one in self._sockets:
            one.close()
        for thread in self._threads:
            thread.join(10)


class Proxies:
    """In the place of the addresses that the bridges and writers of a run are told."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self._proxies: dict[Address, Proxy] = {}

    def in_the_place_of(self, addresses: Mapping[int, Address]) -> dict[int, Address]:
        return {node: self._address(address) for node, address in addresses.items()}

    def _address(self, address: Address) -> Address:
        if not address[1]:
            return address
        if address not in self._proxies:
            self._proxies[address] = Proxy(target=address, trouble=self._trouble)
        return self._proxies[address].address

    def begin(self) -> None:
        for proxy in self._proxies.values():
            proxy.began_s = time.monotonic()

    def close(self) -> None:
        for proxy in self._proxies.values():
            proxy.close()
