"""What was tried again and replaced, of a run that went on where others end."""

from __future__ import annotations

from rnb.analysis.checks.facts import Facts


def jobs_note(facts: Facts) -> str | None:
    jobs = facts.run.meta.jobs
    if jobs is None or not any((jobs.num_deaths, jobs.num_recycled, jobs.num_tries, jobs.num_touched)):
        return None
    told = [f"{_count(jobs.num_deaths, 'process', 'processes')} of replicas died"] if jobs.num_deaths else []
    if jobs.num_recycled:
        told.append(f"{_count(jobs.num_recycled, 'was', 'were')} recycled")
    if jobs.num_touched:
        requests = _count(jobs.num_touched, "request", "requests")
        told.append(f"{requests} failed or lost their replica, and {jobs.num_tries} tries were made again")
    return f"{', '.join(told)} (events.parquet): its figures contain that"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
