"""Reading a run under the short name."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb import run_folder
from tests.support.sample_runs import write_run


def test_a_folder_is_read_with_its_results(tmp_path: Path) -> None:
    run = run_folder.read(write_run(tmp_path, data={"results": {0: {"boxes": [1, 2]}}}))
    assert run.results == {0: {"boxes": [1, 2]}}
    with pytest.raises(run_folder.RunFolderError):
        run_folder.read(tmp_path / "none")
