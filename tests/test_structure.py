"""Every source file has a test of its name, or is listed here with the test that covers it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.support.running import ROOT
from tests.support.tiers import LONG, SLOW, WITH_PROCESSES

SOURCES = ("rnb", "models", "nvvl", "utils")

COVERED_BY = {
    "rnb/analysis/examination.py": "tests/rnb/analysis/test_steady_state.py",
    "rnb/command_line/check_command.py": "tests/end_to_end/test_command_line.py",
    "rnb/cluster/agent.py": "tests/end_to_end/test_several_nodes.py",
    "rnb/cluster/ray_cluster.py": "tests/end_to_end/test_ray_cluster.py",
    "nvvl/picked_clips.py": "tests/nvvl/test_rnb_loader.py",
    "nvvl/backend_names.py": "tests/nvvl/test_backends.py",
    "rnb/cluster/launching.py": "tests/rnb/processes/test_other_nodes.py",
    "rnb/processes/due_times.py": "tests/rnb/processes/test_other_nodes.py",
    "rnb/processes/bridges.py": "tests/end_to_end/test_several_nodes.py",
    "rnb/processes/launch.py": "tests/rnb/processes/test_other_nodes.py",
    "rnb/processes/parting.py": "tests/rnb/processes/test_rejoining.py",
    "rnb/transport/tcp/connection.py": "tests/rnb/transport/tcp/test_link.py",
    "rnb/transport/tcp/lane.py": "tests/rnb/processes/test_lane_receiver.py",
    "rnb/command_line/exit_status.py": "tests/end_to_end/test_command_line.py",
    "models/faces/dlib_build.py": "tests/models/faces/test_detectors.py",
    "models/faces/face.py": "tests/models/faces/test_recognizer.py",
    "models/faces/mtcnn_networks.py": "tests/models/faces/test_mtcnn.py",
    "models/faces/weights.py": "tests/models/faces/test_detectors.py",
    "models/checkpoint_file.py": "tests/models/test_checkpoint.py",
    "models/r2p1d/execution_options.py": "tests/models/test_execution.py",
    "models/r2p1d/parts.py": "tests/models/test_network.py",
    "models/random_weights.py": "tests/models/test_weights.py",
    "models/images/dali_pipeline.py": "tests/models/images/test_backends.py",
    "models/images/decoding.py": "tests/models/images/test_backends.py",
    "models/images/errors.py": "tests/models/images/test_header.py",
    "models/images/*_decoder.py": "tests/models/images/test_backends.py",
    "models/images/pixels.py": "tests/models/images/test_backends.py",
    "models/r2p1d/options.py": "tests/models/test_options.py",
    "models/nothing/model.py": "tests/end_to_end/test_endings.py",
    "models/queueing/model.py": "tests/models/test_queueing.py",
    "models/r2p1d/agreement.py": "tests/models/test_agreement.py",
    "models/r2p1d/presets.py": "tests/models/test_options.py",
    "models/r2p1d/checkpoint.py": "tests/models/test_checkpoint.py",
    "models/r2p1d/execution.py": "tests/models/test_execution.py",
    "models/r2p1d/former_network.py": "tests/models/test_former_network.py",
    "models/r2p1d/lowered.py": "tests/models/test_execution.py",
    "models/r2p1d/model.py": "tests/end_to_end/test_configs.py",
    "models/r2p1d/module.py": "tests/models/test_network.py",
    "models/r2p1d/network.py": "tests/models/test_network.py",
    "models/r2p1d/sampler.py": "tests/models/test_sampler.py",
    "models/r2p1d/weights.py": "tests/models/test_weights.py",
    "models/r2p1d/sizer.py": "tests/models/test_sizer.py",
    "nvvl/clips.py": "tests/nvvl/test_rnb_loader.py",
    "nvvl/bits.py": "tests/nvvl/test_picture_order.py",
    "nvvl/convert_triton.py": "tests/gpu/test_nvdec.py",
    "nvvl/errors.py": "tests/nvvl/test_rnb_loader.py",
    "nvvl/index.py": "tests/nvvl/test_exact_frames.py",
    "nvvl/indexing.py": "tests/nvvl/test_exact_frames.py",
    "nvvl/mp4_*.py": "tests/nvvl/test_mp4_index.py",
    "nvvl/original.py": "tests/nvvl/test_backends.py",
    "nvvl/packet_units.py": "tests/nvvl/test_mp4_index.py",
    "nvvl/picture.py": "tests/nvvl/test_convert.py",
    "nvvl/picture_format.py": "tests/nvvl/test_mp4_index.py",
    "nvvl/pyav_backend.py": "tests/nvvl/test_exact_frames.py",
    "nvvl/reader.py": "tests/nvvl/test_exact_frames.py",
    "nvvl/sampler.py": "tests/nvvl/test_rnb_loader.py",
    "nvvl/slice_order.py": "tests/nvvl/test_mp4_index.py",
    "nvvl/engine_pictures.py": "tests/nvvl/test_nvdec_backend.py",
    "nvvl/engines.py": "tests/nvvl/native/test_session.py",
    "nvvl/gpu_frame_stream.py": "tests/nvvl/native/test_gpu_frame_stream.py",
    "nvvl/native/*.py": "tests/nvvl/native/test_session.py",
    "nvvl/video_engine.py": "tests/nvvl/test_backends.py",
    "rnb/analysis/calls.py": "tests/rnb/analysis/test_utilization.py",
    "rnb/analysis/checks/*.py": "tests/rnb/analysis/test_verdict.py",
    "rnb/analysis/reasons.py": "tests/rnb/analysis/test_verdict.py",
    "rnb/command_line/benchmark.py": "tests/end_to_end/test_command_line.py",
    "rnb/command_line/optimize_flags.py": "tests/rnb/command_line/test_optimize.py",
    "rnb/command_line/number_types.py": "tests/rnb/command_line/test_flag_errors.py",
    "rnb/command_line/parser.py": "tests/rnb/command_line/test_flag_errors.py",
    "rnb/command_line/play_command.py": "tests/rnb/command_line/test_commands.py",
    "rnb/command_line/report.py": "tests/rnb/command_line/test_commands.py",
    "utils/user_cache.py": "tests/models/test_kept_figures.py",
    "rnb/record/start_up.py": "tests/rnb/processes/test_start_up.py",
    "rnb/contract/probe.py": "tests/rnb/observe/test_observer.py",
    "rnb/contract/step.py": "tests/end_to_end/test_pipelines.py",
    "rnb/contract/termination.py": "tests/rnb/processes/test_supervisor.py",
    "rnb/faults/helper.py": "tests/rnb/faults/test_player.py",
    "rnb/pipeline/neighbours.py": "tests/models/test_sizer.py",
    "rnb/pipeline/compat/*.py": "tests/end_to_end/test_pipelines.py",
    "rnb/pipeline/compat/upstream/*.py": "tests/rnb/pipeline/compat/test_adapter.py",
    "rnb/command_line/quiet_run.py": "tests/rnb/command_line/test_optimize.py",
    "rnb/command_line/search_command.py": "tests/rnb/command_line/test_optimize.py",
    "rnb/command_line/search_result.py": "tests/rnb/command_line/test_optimize.py",
    "rnb/planner/bottleneck.py": "tests/rnb/planner/test_screening.py",
    "rnb/planner/curve_text.py": "tests/rnb/command_line/test_explain_command.py",
    "rnb/planner/explanation_text.py": "tests/rnb/command_line/test_explain_command.py",
    "rnb/planner/finding.py": "tests/rnb/planner/page/test_pages.py",
    "rnb/planner/dimension.py": "tests/rnb/planner/test_space.py",
    "rnb/planner/memory.py": "tests/rnb/command_line/test_optimize.py",
    "rnb/planner/one_config.py": "tests/rnb/command_line/test_explain_command.py",
    "rnb/planner/page/*.py": "tests/rnb/planner/page/test_pages.py",
    "rnb/planner/origin.py": "tests/rnb/planner/test_profile.py",
    "rnb/planner/key.py": "tests/rnb/planner/test_profile.py",
    "rnb/planner/profile_folder.py": "tests/rnb/planner/test_profile.py",
    "rnb/planner/plan_text.py": "tests/rnb/command_line/test_optimize.py",
    "rnb/planner/profiling.py": "tests/rnb/planner/test_screening.py",
    "rnb/planner/system.py": "tests/rnb/planner/test_what_if.py",
    "rnb/planner/verification.py": "tests/rnb/planner/test_screening.py",
    "rnb/processes/client_task.py": "tests/rnb/processes/test_sender.py",
    "rnb/processes/runner.py": "tests/end_to_end/test_pipelines.py",
    "rnb/record/meta.py": "tests/rnb/record/test_run_folder.py",
    "rnb/record/results.py": "tests/rnb/record/test_run_folder.py",
    "rnb/record/tables.py": "tests/rnb/observe/test_occupancy_tables.py",
    "rnb/remote/asking.py": "tests/rnb/remote/test_served.py",
    "rnb/remote/client*.py": "tests/end_to_end/test_server.py",
    "rnb/remote/description.py": "tests/rnb/remote/test_served.py",
    "rnb/remote/*_asker.py": "tests/rnb/remote/test_served.py",
    "rnb/remote/deadlines.py": "tests/rnb/remote/test_http2.py",
    "rnb/remote/grpc_errors.py": "tests/rnb/remote/test_served.py",
    "rnb/remote/*_transport.py": "tests/end_to_end/test_server.py",
    "rnb/show/page/*.py": "tests/rnb/show/page/test_page.py",
    "rnb/show/page/destination.py": "tests/end_to_end/test_html.py",
    "rnb/show/page/sections/*.py": "tests/rnb/show/page/test_page.py",
    "rnb/live/asking.py": "tests/rnb/live/test_pipeline.py",
    "rnb/live/books.py": "tests/rnb/live/test_part.py",
    "rnb/live/event_times.py": "tests/rnb/live/test_part.py",
    "rnb/live/ledger.py": "tests/rnb/live/test_pipeline.py",
    "rnb/live/part_writer.py": "tests/rnb/live/test_part.py",
    "rnb/live/parameters.py": "tests/rnb/live/test_deaths.py",
    "rnb/live/rows.py": "tests/rnb/live/test_pipeline.py",
    "rnb/live/settings.py": "tests/rnb/live/test_pipeline.py",
    "rnb/live/step_info.py": "tests/rnb/live/test_pipeline.py",
    "rnb/processes/replacement.py": "tests/rnb/processes/test_recovery.py",
    "rnb/show/text/comparison_text.py": "tests/rnb/command_line/test_compare.py",
    "rnb/show/text/fault_text.py": "tests/rnb/analysis/test_fault_effects.py",
    "rnb/show/text/server_text.py": "tests/rnb/analysis/test_server_steps.py",
    "rnb/show/text/occupancy_text.py": "tests/rnb/analysis/test_occupancy.py",
    "rnb/show/trace/*.py": "tests/rnb/show/trace/test_trace.py",
    "rnb/serving/cuda_memory.py": "tests/gpu/test_shared_gpu_memory.py",
    "rnb/serving/exposition.py": "tests/rnb/serving/test_metrics.py",
    "rnb/serving/front.py": "tests/rnb/serving/test_clients.py",
    "rnb/serving/inference.py": "tests/rnb/serving/test_bad_input.py",
    "rnb/serving/model.py": "tests/rnb/serving/over_http/test_v2.py",
    "rnb/serving/over_grpc/*.py": "tests/rnb/serving/over_grpc/test_service.py",
    "rnb/serving/over_http/app.py": "tests/rnb/serving/over_http/test_v2.py",
    "rnb/serving/over_http/body.py": "tests/rnb/serving/over_http/test_predict.py",
    "rnb/serving/over_http/docs_page.py": "tests/rnb/serving/over_http/test_predict.py",
    "rnb/serving/over_http/infer_body.py": "tests/rnb/serving/over_http/test_v2.py",
    "rnb/serving/over_http/leaving.py": "tests/rnb/serving/over_http/test_connection.py",
    "rnb/serving/over_http/openapi.py": "tests/rnb/serving/over_http/test_predict.py",
    "rnb/serving/over_http/server.py": "tests/rnb/serving/test_server.py",
    "rnb/serving/ports.py": "tests/rnb/command_line/test_serve.py",
    "rnb/serving/refusal.py": "tests/rnb/serving/over_http/test_v2.py",
    "rnb/serving/request_log.py": "tests/rnb/serving/over_http/test_entrance.py",
    "rnb/serving/results.py": "tests/rnb/serving/over_http/test_v2.py",
    "rnb/serving/settings.py": "tests/rnb/command_line/test_serve_flags.py",
    "rnb/serving/shared_memory.py": "tests/rnb/serving/test_bad_input.py",
    "rnb/serving/tensors.py": "tests/rnb/serving/test_bad_input.py",
    "rnb/simulation/*.py": "tests/rnb/simulation/test_simulate.py",
    "rnb/transport/clock.py": "tests/rnb/processes/test_sender.py",
    "rnb/transport/patient_queue.py": "tests/rnb/live/test_pipeline.py",
    "rnb/transport/local/fabric.py": "tests/rnb/transport/test_fabric.py",
    "utils/perf_analyzer.py": "tests/rnb/serving/test_perf_analyzer.py",
    "utils/cupti/errors.py": "tests/utils/cupti/test_bridge.py",
    "utils/cupti/kernel_counters.py": "tests/gpu/test_cupti_gpu.py",
}
"""The source files, or patterns of them, that have no test of their name."""


def own_test(source: str) -> Path:
    """Where the test of a source file's name is: rnb/load/replay.py has tests/rnb/load/test_replay.py."""
    path = ROOT / "tests" / source
    return path.with_name(f"test_{path.name}")


def sources() -> list[str]:
    files = (path for name in SOURCES for path in sorted((ROOT / name).rglob("*.py")))
    return [str(path.relative_to(ROOT)) for path in files if path.name != "__init__.py"]


def is_in(pattern: str, source: str) -> bool:
    """Whether the pattern is of this file; a star does not reach into folders."""
    return fnmatchcase(source, pattern) and source.count("/") == pattern.count("/")


UNTESTED = [source for source in sources() if not own_test(source).is_file()]


@pytest.mark.parametrize("source", UNTESTED)
def test_a_file_without_a_test_of_its_name_is_covered_by_another(source: str) -> None:
    is_listed = any(is_in(pattern, source) for pattern in COVERED_BY)
    assert is_listed, f"write {own_test(source).relative_to(ROOT)}, or add {source} to COVERED_BY"


@pytest.mark.parametrize(("pattern", "test"), COVERED_BY.items())
def test_a_listed_file_and_its_test_are_there(pattern: str, test: str) -> None:
    assert (ROOT / test).is_file()
    assert any(is_in(pattern, source) for source in UNTESTED), "has a test of its name, or is gone"


@pytest.mark.parametrize("start", sorted({*WITH_PROCESSES, *LONG, *SLOW}))
def test_a_test_of_a_later_tier_is_there(start: str) -> None:
    file, _, name = start.partition("[")[0].partition("::")
    assert f"\ndef {name}" in (ROOT / file).read_text()
