"""The tables of a run whose columns others read, by name. One that is not named here is kept as well."""

from __future__ import annotations

EVENT_PREFIX = "time_"
"""Of the timestamp columns in requests.parquet; only they have gaps."""
TELEMETRY = "telemetry"
"""What GPUs and CPUs did: time_ns, then 'cpu.percent', 'gpu0.power_w', 'process.step 0.1.cpu_percent', …
Of a run over several nodes also 'node'; see rnb/record/over_nodes.py."""
OCCUPANCY = "occupancy"
"""time_ns, then 'gpu0.<counter>' in % of peak."""
KERNEL_WINDOWS = "kernel_windows"
"""A row for each runner and window in which its kernels were traced."""
KERNELS = "kernels"
"""A row for each window and kernel; 'window' is the row of kernel_windows."""
MEMORY = "memory"
"""With --memory, what a replica held after each of its calls: at_ns, replica, pid, request_id, …"""
EVENTS = "events"
"""Who started, died and was replaced, and which requests were tried again, in the order of time."""
SERVER_STEPS = "server_steps"
"""Of a run against a server, a row for each of its models: what it counted itself."""
COUNTERS = ("occupancy_pct", "sm_busy_pct", "sm_throughput_pct", "tensor_pct", "dram_pct")
"""Of all chips; those that a chip cannot count are NaN."""
