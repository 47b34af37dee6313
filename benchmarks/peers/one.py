"""One peer, in a process of its own: `python -m benchmarks.peers.one CLASS FOLDER`.

The folder has work.json and plays.json, the arrivals of each play; result.json is what came of it, written
anew after each play, so that what was played is there whatever happens then.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.peers.peer import CannotRun, Peer, Played
from benchmarks.peers.processes import (
    adopt_orphans,
    cpu_s,
    cpu_s_since,
    end_descendants,
    end_with_parent,
)
from benchmarks.peers.registry import peer_class
from benchmarks.peers.work import Arrival


def main(path: str, folder: Path) -> None:
    end_with_parent()
    adopt_orphans()
    result = folder / "result.json"
    try:
        cls = peer_class(path)
        peer = cls(folder / "work.json")
        plays = json.loads((folder / "plays.json").read_text())
        done: list[Played] = []
        try:
            peer.start()
            if not peer.warms_up_itself:
                peer.play(peer.work.warm_up)
            for arrivals in plays:
                done.append(_play(peer, [Arrival(*one) for one in arrivals]))
                told = {"decoder": cls.decoder, "plays": [asdict(one) for one in done]}
                result.write_text(json.dumps(told))
        finally:
            peer.stop()
    except CannotRun as error:
        result.write_text(json.dumps({"why_not": str(error)}))
    finally:
        end_descendants()


def _play(peer: Peer, arrivals: list[Arrival]) -> Played:
    before = cpu_s()
    played = peer.play(arrivals)
    if played.cpu_s is None:
        played.cpu_s = cpu_s_since(before)
    return played


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
