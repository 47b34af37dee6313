"""How long the figures and the page of a large run take, and how much memory, on a simulated run.

python -m benchmarks.report_speed
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from benchmarks.measuring import show
from rnb.analysis.summary import summarize
from rnb.analysis.verdict import judge
from rnb.record.run_folder import read, write, write_summary
from rnb.show.page.page import write_page
from rnb.show.page.subject import findings_of, subject_alone
from tests.support.simulated_runs import simulate

Result = TypeVar("Result")


def timed(name: str, work: Callable[[], Result]) -> Result:
    start_s = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start_s
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row = {"part": name, "seconds": seconds, "peak_mib": peak_mib}
    show("report", f"{name}: {seconds:.2f} s, at most {peak_mib:.0f} MiB in use so far", row)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory for the figures and the page of one run.")
    parser.add_argument("--requests", type=int, default=1_000_000, help="default %(default)s")
    num_requests = parser.parse_args().requests
    run = timed("simulate (not part of it)", lambda: simulate(num_requests=num_requests, rate_per_s=200))
    with tempfile.TemporaryDirectory() as folder:
        summary = timed("summary", lambda: summarize(run))
        verdict = timed("verdict", lambda: judge(run, summary.steady_state))
        findings = timed("what else the page shows", lambda: findings_of(run, summary, verdict))
        page = Path(folder) / "report.html"
        timed("page", lambda: write_page(page, [subject_alone(findings)]))
        show("report", f"the page has {page.stat().st_size} bytes", {"page_bytes": page.stat().st_size})
        timed("write the run folder (not part of it)", lambda: write(run, Path(folder)))
        write_summary(Path(folder), summary.to_json())
        timed("read it (not part of it)", lambda: read(folder))


if __name__ == "__main__":
    main()
