"""Run folders that were damaged, through what reads them: compare.py, its page, and --replay."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rnb.command_line import benchmark, compare
from tests.robustness.attack import Attack, Outcome
from tests.robustness.command import call, judge
from tests.robustness.kept_run import make_run
from tests.robustness.mutations import mutated_bytes, mutated_json


class FolderAttack(Attack):
    """A case is a run folder in which some files are not what they were."""

    limit_s = 60
    long_run = 2000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._intact = make_run(folder)

    def play(self, seed: int) -> Outcome:
        lots, damaged = random.Random(seed), self.folder / "damaged"
        shutil.copytree(self._intact, damaged)
        done = [self._damage(lots, damaged) for _ in range(lots.choice([1, 1, 2, 3]))]
        page = str(self.folder / "page.html")
        commands: list[tuple[Any, list[str]]] = [
            (compare.main, [str(self._intact), str(damaged)]),
            (compare.main, [str(damaged), "--html", page]),
            (
                benchmark.main,
                ["--replay", str(damaged), "-c", "config/empty.json", "--device", "cpu", "--check"],
            ),
        ]
        main, argv = lots.choice(commands)
        ended = call(main, argv)
        outcome = Outcome("read" if ended.status == 0 else "refused")
        judge(outcome, ended)
        outcome.about = f"{argv}: {'; '.join(done)}"
        shutil.rmtree(damaged)
        return outcome

    def _damage(self, lots: random.Random, folder: Path) -> str:
        """What was done, in words."""
        files = sorted(path for path in folder.iterdir() if path.is_file())
        if not files:
            return "nothing is left"
        path, other = lots.choice(files), lots.choice(files)
        ways = [_garble, _garble, _empty, _remove, _swap, _make_folder]
        if path.suffix == ".json":
            ways += [_change_json] * 6
        if path.suffix == ".parquet":
            ways += [_change_table] * 6
        way = lots.choice(ways)
        way(path, other, lots)
        return f"{way.__name__.strip('_')} {path.name} ({other.name})"


def _garble(path: Path, other: Path, lots: random.Random) -> None:
    path.write_bytes(mutated_bytes(path.read_bytes(), lots, other.read_bytes()))


def _empty(path: Path, other: Path, lots: random.Random) -> None:
    path.write_bytes(b"")


def _remove(path: Path, other: Path, lots: random.Random) -> None:
    path.unlink()


def _swap(path: Path, other: Path, lots: random.Random) -> None:
    mine, its = path.read_bytes(), other.read_bytes()
    path.write_bytes(its)
    other.write_bytes(mine)


def _make_folder(path: Path, other: Path, lots: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _change_json(path: Path, other: Path, lots: random.Random) -> None:
    try:
        data = json.loads(path.read_bytes())
    except ValueError:  # it was damaged before
        return
    path.write_text(json.dumps(mutated_json(data, lots, most=2)), errors="surrogatepass")


def _change_table(path: Path, other: Path, lots: random.Random) -> None:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError):
        return
    if not table.num_columns:
        return
    number = lots.randrange(table.num_columns)
    name, rows = table.column_names[number], table.num_rows
    values: Any = lots.choice(
        [
            pa.nulls(rows),
            pa.array(["x"] * rows),
            pa.array(np.full(rows, np.nan)),
            pa.array(np.full(rows, -(2**63))),
            pa.array(np.full(rows, 2**63 - 1)),
            pa.array([[1]] * rows),
            pa.array(np.zeros(rows)),
            table.column(number).take(
                pa.array(lots.choices(range(rows), k=rows)) if rows else pa.array([], "int64")
            ),
        ]
    )
    changed = lots.choice(
        [
            table.set_column(number, name, values),
            table.set_column(number, name, values),
            table.remove_column(number),
            table.rename_columns([f"{one}x" if one == name else one for one in table.column_names]),
            table.slice(0, lots.randint(0, rows)),
            pa.concat_tables([table, table]),
        ]
    )
    pq.write_table(changed, path)
