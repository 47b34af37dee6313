"""Other systems beside RnB: what each must do, that none leaves anything, and what is told of them."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.different_videos import different_videos
from benchmarks.peers import torch_nvdec
from benchmarks.peers.__main__ import main
from benchmarks.peers.classifier import groups
from benchmarks.peers.figures import agreement, compared, figures_of
from benchmarks.peers.http_client import play_over_http
from benchmarks.peers.peer import Played
from benchmarks.peers.plain_decoder import PlainDecoder
from benchmarks.peers.registry import PEERS, peer_class
from benchmarks.peers.rnb_run import played
from benchmarks.peers.running import Outcome, play_peer
from benchmarks.peers.table import table
from benchmarks.peers.work import Arrival, Work
from models.r2p1d.model import R2P1DLoader
from rnb.contract import Context
from rnb.contract.termination import UsageError
from rnb.record.run_folder import read
from tests.support.peers import STARTED, small_work
from tests.support.running import ROOT
from tests.support.sample_runs import STAGES_MS, request_columns, write_run
from tests.support.videos import write_video

AT_ONCE = [Arrival(request, 0.0) for request in range(4)]
LATER = [Arrival(request, 0.05 * request) for request in range(4)]
SMALL_CONFIG = [
    {
        "model": "models.r2p1d.model.R2P1DLoader",
        "gpus": [-1],
        "num_clips_population": [1, 3],
        "dtype": "uint8",
    },
    {
        "model": "models.r2p1d.model.R2P1DRunner",
        "gpus": [-1],
        "layer_sizes": [1, 1, 1, 1],
        "max_clips": 4,
    },
]


def play(name: str, work: Work, plays: Sequence[Sequence[Arrival]], limit_s: float = 120) -> Outcome:
    path, log = f"tests.support.peers.{name}", Path(work.videos[0]).with_name("log")
    return play_peer(name, path, work, plays, limit_s=limit_s, log=log)


def is_gone(pid: int) -> bool:
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_a_peer_plays_all_arrivals_when_they_are_due(tmp_path: Path) -> None:
    outcome = play("Prompt", small_work(tmp_path), [AT_ONCE, LATER])
    assert not outcome.why_not
    assert [one.labels for one in outcome.plays] == [[0, 1, 2, 0]] * 2
    late_s = [
        finish - arrival.due_s
        for finish, arrival in zip(outcome.plays[1].finish_s, LATER, strict=True)
        if finish is not None
    ]
    assert len(late_s) == 4
    assert min(late_s) >= 0
    assert all(one.cpu_s is not None and one.cpu_s >= 0 for one in outcome.plays)


def test_a_peer_that_cannot_run_says_why(tmp_path: Path) -> None:
    outcome = play("Lacking", small_work(tmp_path), [AT_ONCE])
    assert outcome.why_not == "needs what nobody has"
    assert not outcome.plays


def test_a_peer_that_fails_keeps_what_it_played_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    outcome = play("Forgetful", small_work(tmp_path), [AT_ONCE, LATER])
    assert outcome.why_not == "RuntimeError: the server ended"
    assert [one.labels for one in outcome.plays] == [[0, 1, 2, 0]]
    assert is_gone(int((tmp_path / STARTED).read_text()))


@pytest.mark.processes
def test_a_peer_that_takes_too_long_says_so(tmp_path: Path) -> None:
    outcome = play("Endless", small_work(tmp_path), [AT_ONCE, LATER], limit_s=4)
    assert outcome.why_not.startswith("was not done after 4 s")


@pytest.mark.processes
def test_nothing_is_left_of_a_peer_when_the_benchmark_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.support.peers import small_work;"
        "from tests.test_peers import AT_ONCE, play;"
        "play('Endless', small_work(Path(sys.argv[1])), [AT_ONCE] * 2)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # what it cannot remove
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, env=environment)
    started = tmp_path / STARTED
    while not (started.exists() and started.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert is_gone(int(started.read_text()))


@pytest.mark.processes
def test_another_signal_does_not_keep_the_end_from_tidying_up() -> None:
    code = (
        "import time; from benchmarks.peers.processes import exit_on_sigterm\n"
        "exit_on_sigterm()\n"
        "try:\n"
        "    print('ready', flush=True); time.sleep(60)\n"
        "finally:\n"
        "    print('ends', flush=True); time.sleep(0.5); print('tidy')\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in ("ready\n", "ends\n"):
            assert process.stdout.readline() == line
            process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "tidy\n"


@pytest.mark.parametrize("name", PEERS)
def test_the_class_of_each_peer_can_be_imported_without_its_package(name: str) -> None:
    assert peer_class(PEERS[name]).decoder


def test_latency_is_from_when_a_request_was_due() -> None:
    one = Played(finish_s=[0.1, 1.5, None, 2.0], labels=[1, 2, None, 3], cpu_s=2.0)
    arrivals = [Arrival(request, float(due)) for request, due in enumerate((0, 1, 1, 1))]
    figures = figures_of(4, arrivals, one, [1, 2, 9, 4])
    assert figures.videos_per_s == pytest.approx(3 / 2.0)
    assert figures.p50_ms == pytest.approx(500)
    assert figures.p99_ms == pytest.approx(np.percentile([100, 500, 1000], 99))
    assert figures.num_failed == 1
    assert figures.cpu_ms == pytest.approx(500)
    assert figures.agreement == pytest.approx(2 / 3)


def test_what_rnb_played_is_told_on_the_clock_of_the_arrivals(tmp_path: Path) -> None:
    columns = request_columns(3)
    columns["status"][1] = "failed"
    arrivals = [Arrival(request, 0.7 + request) for request in range(3)]
    told = played(read(write_run(tmp_path, num_requests=3, columns=columns)), arrivals)
    service_s = sum(STAGES_MS) / 1000
    assert told.finish_s == [pytest.approx(0.7 + service_s), None, pytest.approx(2.7 + service_s)]
    assert told.labels == [0, 1, 2]


def test_figures_of_a_play_without_results() -> None:
    figures = figures_of(0, AT_ONCE, Played.nothing(4), [1, 2, 3, 4])
    assert figures.videos_per_s == 0
    assert figures.p99_ms is None
    assert figures.num_failed == 4
    assert figures.agreement is None


def test_agreement_is_of_requests_with_both_classes() -> None:
    assert agreement([1, 2, None, 4], [1, 3, 3, None]) == 0.5
    assert agreement([None], [1]) is None


def test_the_table_has_a_line_for_each_peer_and_says_why_others_are_not_there() -> None:
    fast = Played(finish_s=[0.5, 1.0, 1.5, 2.0], labels=[1, 1, 1, 1], cpu_s=1.0)
    slow = Played(finish_s=[1.0, 2.0, 3.0, 8.0], labels=[1, 1, 1, 2], cpu_s=None)
    outcomes = [
        Outcome(name="rnb", decoder="nvvl", plays=[fast, fast]),
        Outcome(name="torch", decoder="PyAV", plays=[slow], why_not="was not done after 9 s: why"),
        Outcome(name="triton", why_not="needs a GPU"),
    ]
    figures = {
        "rnb": [figures_of(rate, AT_ONCE, fast, fast.labels) for rate in (0, 2)],
        "torch": [figures_of(0, AT_ONCE, slow, fast.labels)],
        "triton": [],
    }
    head, rnb, torch, *reasons = table(outcomes, figures, [2]).splitlines()
    assert head.split("  ")[-3:] == ["at 2/s: done/s", "p50 ms", "p99 ms"]
    assert rnb.split() == ["rnb", "nvvl", "2.0", "1.00", "250.0", "100.0%", "0", "2.0", "1250.0", "1985.0"]
    assert torch.split() == ["torch", "PyAV", "0.5", "0.25", "-", "75.0%", "0", "-", "-", "-"]
    assert reasons == ["torch: was not done after 9 s: why", "triton: needs a GPU"]


def test_the_plain_decoder_gives_the_clips_that_rnb_takes(tmp_path: Path) -> None:
    videos = [write_video(tmp_path / f"{seed}.mp4", num_frames=150, seed=seed) for seed in range(3)]
    work = small_work(tmp_path, videos=list(map(str, videos)))
    decoder, loader = PlainDecoder(work), R2P1DLoader(work.loader, Context())
    out = R2P1DLoader.output(work.loader, ())[0]
    for request in range(3):
        expected = loader.load(work.video(request), request, torch.empty(out.shape)).numpy()
        clips = decoder.clips(request)
        assert clips.shape == expected.shape
        same = np.abs(clips - expected).mean()
        next_frame = np.abs(clips[:, :, 1:] - expected[:, :, :-1]).mean()
        assert same < 0.25 * next_frame
    loader.close()


class Answers(http.server.BaseHTTPRequestHandler):
    """The label of a request is twice its number; the second one fails."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"label": 2 * body["request"]}).encode()
        self.send_response(500 if body["request"] == 1 else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_the_client_of_servers_asks_when_a_request_is_due() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/predict"
        told = play_over_http(url, LATER, lambda number: {"request": number}, lambda one: int(one["label"]))
        server.shutdown()
    assert told.labels == [0, None, 4, 6]
    assert told.finish_s[1] is None
    for finish_s, arrival in zip(told.finish_s[2:], LATER[2:], strict=True):
        assert finish_s is not None
        assert finish_s >= arrival.due_s


def test_requests_are_classified_in_groups_that_fit_the_network() -> None:
    clips = [torch.zeros(number, 1) for number in (3, 1, 2, 4, 1)]
    assert [[len(one) for one in group] for group in groups(clips, 4)] == [[3, 1], [2], [4], [1]]


def test_the_loop_with_decoders_in_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, with another decoder and classes that are sums; one video cannot be decoded."""

    class Decoder:
        def __init__(self, work: Work) -> None:
            self.decoder = PlainDecoder(work)

        def clips(self, request: int) -> torch.Tensor:
            return torch.from_numpy(self.decoder.clips(request))

    class Sums:
        def __init__(self, _work: Work) -> None:
            pass

        def labels(self, clips: Sequence[torch.Tensor]) -> list[int]:
            return [int(one.sum()) for one in clips]

    monkeypatch.setattr(torch_nvdec, "NvdecDecoder", Decoder)
    monkeypatch.setattr(torch_nvdec, "need", lambda *_: None)
    monkeypatch.setattr(torch_nvdec, "Classifier", Sums)
    videos = [str(write_video(tmp_path / f"{seed}.mp4", num_frames=60, seed=seed)) for seed in range(3)]
    videos.append(str(tmp_path / "none.mp4"))
    work = small_work(tmp_path, device="cuda", videos=videos, samples=videos[:1], cores=[0, 1])
    work.write(tmp_path / "work.json")
    peer = torch_nvdec.TorchNvdec(tmp_path / "work.json")
    try:
        peer.start()
        told = peer.play(LATER)
    finally:
        peer.stop()
    assert told.labels == [*(int(PlainDecoder(work).clips(request).sum()) for request in range(3)), None]
    assert [finish_s is not None for finish_s in told.finish_s] == [True, True, True, False]


def test_a_config_that_gives_others_no_work_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="peers take the work from a config of"):
        small_work(tmp_path, config="config/empty.json").check()


@pytest.mark.processes
@pytest.mark.timeout(480)
def test_the_plain_loop_finds_the_classes_that_rnb_finds(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(SMALL_CONFIG))
    samples = sorted((ROOT / "data" / "videos").rglob("*.mp4"))
    with different_videos(samples, len(LATER), 10**8) as videos:
        work = small_work(
            tmp_path, config=str(config), videos=sorted(map(str, videos)), samples=[str(samples[0])]
        )
        rnb, torch_loop = (
            play_peer(name, PEERS[name], work, [LATER], limit_s=200, log=tmp_path / name)
            for name in ("rnb", "torch")
        )
    assert not rnb.why_not
    assert not torch_loop.why_not
    (figures,) = compared(torch_loop, rnb, [(20, LATER)])
    assert figures.num_failed == 0
    assert figures.agreement is not None
    assert figures.agreement >= 3 / 4
    assert rnb.plays[0].cpu_s is not None
    for finish_s, arrival in zip(rnb.plays[0].finish_s, LATER, strict=True):
        assert finish_s is not None
        assert finish_s > arrival.due_s


def test_the_command_plays_all_and_goes_on_after_one_that_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = {"rnb": "Prompt", "torch": "Lacking", "ray": "Prompt"}
    for name, cls in peers.items():
        monkeypatch.setitem(PEERS, name, f"tests.support.peers.{cls}")
    write_video(tmp_path / "a.mp4", num_frames=20)
    out = tmp_path / "out"
    flags = ["--data", str(tmp_path), "--device", "cpu", "--videos", "4", "--rate", "50", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["peers", "--peers", *peers, *flags, "-n", "2"])
    monkeypatch.setattr("benchmarks.peers.__main__.exit_on_sigterm", lambda: None)
    main()
    told = json.loads((out / "peers.json").read_text())["peers"]
    assert [play["rate"] for play in told["ray"]["plays"]] == [0, 50, 0, 50]
    assert all(play["agreement"] == 1 and play["num_failed"] == 0 for play in told["ray"]["plays"])
    assert told["torch"] == {"decoder": "", "why_not": "needs what nobody has", "plays": []}
    printed = capsys.readouterr().out
    assert "torch: needs what nobody has" in printed
    assert "100.0%" in printed


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--config", "config/empty.json"], "peers take the work from"),
        (["--config", "config/none.json"], "config/none.json"),
        (["--data", "config"], "no *.mp4 in it"),
        (["--peers", "hal"], "invalid choice: 'hal'"),
    ],
)
def test_a_mistake_is_one_line(
    flags: Sequence[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_video(tmp_path / "a.mp4", num_frames=20)
    monkeypatch.setattr(sys, "argv", ["peers", "--data", str(tmp_path), "--videos", "1", *flags])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]
