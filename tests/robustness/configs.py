"""Configs that nobody would write, through `--check`."""

from __future__ import annotations

import json
import random
from pathlib import Path

from rnb.command_line.benchmark import main
from tests.robustness.attack import Attack, Outcome
from tests.robustness.command import call, judge
from tests.robustness.mutations import mutated_bytes, mutated_json
from tests.support.running import ROOT

SOURCES = (ROOT / "config", ROOT / "tests/support/upstream_configs")
FLAGS = ((), (), (), ("-p",), ("-b", "4"), ("-mi", "0"), ("--device", "cpu", "-qs", "1"))


class ConfigAttack(Attack):
    """A case is a config of RnB or of snuspl/rnb with some changes."""

    limit_s = 20
    long_run = 6000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        files = sorted(path for source in SOURCES for path in source.glob("*.json"))
        self._configs = [json.loads(path.read_text()) for path in files]

    def play(self, seed: int) -> Outcome:
        lots, path = random.Random(seed), self.folder / "config.json"
        path.write_bytes(self._text(lots))
        ended = call(main, ["-c", str(path), "--device", "cpu", *lots.choice(FLAGS), "--check"])
        outcome = Outcome("plan" if ended.status == 0 else "refused")
        judge(outcome, ended)
        outcome.about = path.read_bytes()[:2000].decode(errors="replace")
        return outcome

    def _text(self, lots: random.Random) -> bytes:
        """Mostly JSON; sometimes what was damaged after it was written."""
        changed = mutated_json(lots.choice(self._configs), lots)
        text = json.dumps(changed, ensure_ascii=lots.random() < 0.7).encode(errors="surrogatepass")
        if lots.random() < 0.1:
            text = text[: len(text) // 2] + text  # keys that come twice, and much that is no JSON
        return mutated_bytes(text, lots) if lots.random() < 0.1 else text
