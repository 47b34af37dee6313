"""Where each of the nodes listens that writers send to."""

from __future__ import annotations

from rnb.transport.local.shared_memory import SharedArray
from rnb.transport.tcp.address_book import AddressBook


def test_each_node_has_its_address() -> None:
    book = AddressBook([0, 3], SharedArray)
    book.write({0: ("192.0.2.1", 65_535), 2: ("192.0.2.2", 1), 3: ("fe80::1%eth0", 80)})
    assert book.read(0) == ("192.0.2.1", 65_535)
    assert book.read(3) == ("fe80::1%eth0", 80)
