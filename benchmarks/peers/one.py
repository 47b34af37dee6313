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
from benchmarks.peers.processes import adopt_orphans, cpu_s, cpu_s_since, exit_on_sigterm
from benchmarks.peers.registry import peer_class
from benchmarks.peers.work import Arrival


def main(path: str, folder: Path) -> None:
    exit_on_sigterm()
    adopt_orphans()  # their CPU time counts
    result = folder / "result.json"
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
            result.write_text(json.dumps({"decoder": cls.decoder, "plays": [asdict(one) for one in done]}))
    except CannotRun as error:
        result.write_text(json.dumps({"why_not": str(error)}))
    finally:
        peer.stop()


def _play(peer: Peer, arrivals: list[Arrival]) -> Played:
    before = cpu_s()
    played = peer.play(arrivals)
    if played.cpu_s is None:
        played.cpu_s = cpu_s_since(before)
    return played


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
