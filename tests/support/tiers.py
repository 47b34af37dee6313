"""Which tests are left to `make test` or to `make test-all`, by how their ids begin."""

WITH_PROCESSES = (
    "tests/end_to_end/test_endings.py::test_closed_and_full",
    "tests/robustness/test_attacks.py::test_some",
    "tests/robustness/test_engine.py::test_what_happens",
    "tests/rnb/campaigns/test_campaign.py::test_a_run_that_crashes",
    "tests/rnb/campaigns/test_outcome.py::test",
    "tests/rnb/command_line/test_alone.py::test_a_step_alone",
    "tests/rnb/command_line/test_alone.py::test_the_client_alone",
    "tests/rnb/command_line/test_explain_command.py::test_the_whole_command",
    "tests/rnb/command_line/test_optimize.py::test_a_real_search",
    "tests/rnb/command_line/test_optimize.py::test_it_says",
    "tests/rnb/command_line/test_peak_command.py::test_a_real_search",
    "tests/rnb/command_line/test_repeat_command.py::test_real_runs",
    "tests/rnb/command_line/test_self_check_command.py::test_real_runs",
    "tests/rnb/faults/test_player.py::test",
    "tests/rnb/observe/test_observer.py::test",
    "tests/rnb/processes/test_memory.py::test",
    "tests/rnb/processes/test_recovery.py::test",
    "tests/rnb/processes/test_sender.py::test_a_client_of_several",
    "tests/rnb/processes/test_supervisor.py::test_a_child",
    "tests/rnb/processes/test_supervisor.py::test_children",
    "tests/rnb/processes/test_supervisor.py::test_the_first_failure",
    "tests/rnb/show/page/test_browser.py::test",
    "tests/rnb/simulation/test_against_the_harness.py::test_it_foresees",
    "tests/rnb/test_play.py::test",
    "tests/rnb/transport/local/test_queues.py::test_a_queue_goes_on",
    "tests/rnb/transport/local/test_queues.py::test_processes_share",
    "tests/rnb/transport/local/test_request_table.py::test_what_a_killed_process_wrote",
    "tests/rnb/transport/local/test_slots.py::test_all_processes",
    "tests/rnb/transport/local/test_slots.py::test_another_process",
    "tests/rnb/transport/local/test_slots.py::test_slots_in_cpu",
    "tests/rnb/transport/test_fabric.py::test_all_of_it",
)
"""Those that start processes for seconds, beside those with the fixture `bench`."""

WITH_NETWORKS = (
    "tests/models/faces/test_detectors.py::test",
    "tests/models/faces/test_gallery.py::test_real_faces",
    "tests/models/faces/test_mtcnn.py::test",
    "tests/models/faces/test_views.py::test",
    "tests/models/images/test_resnet.py::test",
    "tests/models/test_agreement.py::test",
    "tests/models/test_checkpoint.py::test_whole_and_split",
    "tests/models/test_execution.py::test",
)
"""Those that run whole networks, which take seconds on a CPU."""

SLOW = (
    "tests/end_to_end/test_endings.py::test_a_process_is_killed_in_the_middle[rnb step 1]",
    "tests/end_to_end/test_endings.py::test_a_process_is_killed_in_the_middle[rnb step 2]",
    "tests/end_to_end/test_endings.py::test_signals_end_the_run[15]",
    "tests/end_to_end/test_pipelines.py::test_every_request_is_served_once_and_right[many replicas-1]",
    "tests/end_to_end/test_pipelines.py::test_every_request_is_served_once_and_right[segments in batches-1]",
    "tests/end_to_end/test_pipelines.py::test_every_request_is_served_once_and_right[small and large-1]",
    "tests/rnb/command_line/test_peak_command.py::test_a_real_search",
    "tests/rnb/command_line/test_self_check_command.py::test_real_runs",
    *(
        f"tests/rnb/simulation/test_against_the_harness.py::test_it_foresees_throughput_and_latency[{seed}]"
        for seed in (1, 2, 9, 14)
    ),
    "tests/rnb/command_line/test_optimize.py::test_it_says",
    "tests/rnb/test_play.py::test_tensors_of_different",
    "tests/test_readme.py::test_the_steps_of_contributing_run",
    "tests/test_readme.py::test_the_test_of_a_pipeline",
)
"""Those that take long and have quicker relatives: the same with other parameters, or simulated."""
