"""Importing classes by path: each way to fail has its message, and upstream's names are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnb.contract.request import RequestError
from rnb.load.videos import VideoPathIterator
from rnb.pipeline.batcher import Batcher
from rnb.pipeline.compat import former_selectors, former_step
from rnb.pipeline.compat.time_card import TimeCard, TimeCardList
from rnb.pipeline.importer import accepted, import_class, parameters, takes_any_option
from rnb.pipeline.selectors import ClipCountSelector, LeastLoadedSelector, RoundRobinSelector


def test_a_class_is_found_by_its_path() -> None:
    assert import_class("rnb.pipeline.batcher.Batcher") is Batcher


def test_also_in_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    assert import_class("rnb.pipeline.batcher.Batcher") is Batcher


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("Batcher", "'Batcher' is not a path of the form 'module.Class'"),
        (".Batcher", "'.Batcher' is not a path of the form 'module.Class'"),
        ("", "'' is not a path of the form 'module.Class'"),
        ("nowhere.Batcher", "'nowhere.Batcher': no module named 'nowhere'"),
        ("rnb.nowhere.Batcher", "'rnb.nowhere.Batcher': no module named 'rnb.nowhere'"),
        (
            "rnb.pipeline.batcher.inner.Batcher",
            "'rnb.pipeline.batcher.inner.Batcher': no module named 'rnb.pipeline.batcher.inner'",
        ),
        (
            "rnb.pipeline.batcher.Bacher",
            "'rnb.pipeline.batcher.Bacher': module 'rnb.pipeline.batcher' has no 'Bacher'",
        ),
        ("rnb.pipeline.importer.import_class", "'rnb.pipeline.importer.import_class' is not a class"),
    ],
)
def test_a_path_that_leads_to_no_class(path: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        import_class(path)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import no_such_package", "its module needs 'no_such_package', which is not installed"),
        ("1 / 0", "importing it failed with ZeroDivisionError: division by zero"),
        ("raise OSError('first line\\nsecond line')", "importing it failed with OSError: first line"),
        ("def broken(", "importing it failed with SyntaxError: '(' was never closed"),
        ("raise SystemExit(3)", "importing it failed with SystemExit: 3"),
    ],
)
def test_a_module_that_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    (tmp_path / "a_broken_module.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"\A'a_broken_module\.Step': [^\n]*\Z") as caught:
        import_class("a_broken_module.Step")
    assert message in str(caught.value)


def test_modules_of_the_working_folder_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_users_module.py").write_text("class MyStep: pass")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")  # restores sys.path afterwards
    monkeypatch.chdir(tmp_path)
    assert import_class("a_users_module.MyStep").__name__ == "MyStep"


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("runner_model.RunnerModel", former_step.Step),
        ("batcher.Batcher", Batcher),
        ("selector.RoundRobinSelector", RoundRobinSelector),
        ("selector.QueueSelector", former_selectors.Selector),
        ("rnb_logging.TimeCard", TimeCard),
        ("rnb_logging.TimeCardList", TimeCardList),
        ("video_path_provider.VideoPathIterator", object),
    ],
)
def test_the_modules_that_upstreams_steps_import(path: str, base: type) -> None:
    assert issubclass(import_class(path), base)


@pytest.mark.parametrize(
    ("path", "now"),
    [
        ("rnb.step.Step", former_step.Step),
        ("rnb.step.RequestError", RequestError),
        ("rnb.time_card.TimeCard", TimeCard),
        ("rnb.selectors.Selector", former_selectors.Selector),
        ("rnb.selectors.RoundRobinSelector", RoundRobinSelector),
        ("rnb.selectors.LeastLoadedSelector", LeastLoadedSelector),
        ("rnb.selectors.ClipCountSelector", ClipCountSelector),
        ("rnb.batcher.Batcher", Batcher),
        ("rnb.videos.VideoPathIterator", VideoPathIterator),
    ],
)
def test_the_modules_that_steps_of_rnb_0_1_import(path: str, now: type) -> None:
    assert import_class(path) is now


def test_a_step_for_upstream_gets_tensors_of_its_own() -> None:
    assert import_class("runner_model.RunnerModel").reads_in_place is False


def sample(self: object, a: int, b: int = 2) -> None: ...


def open_ended(self: object, **options: int) -> None: ...


def test_options_are_matched_by_name() -> None:
    assert list(parameters(sample)) == ["a", "b"]
    assert accepted(sample, {"b": 1, "c": 2}) == {"b": 1}
    assert not takes_any_option(sample)
    assert takes_any_option(open_ended)
