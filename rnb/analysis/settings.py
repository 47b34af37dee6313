"""What a run was told and where it ran, as flat keys: to tell runs apart, to group and to filter them."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rnb.analysis.run_search import FoundRun
from rnb.analysis.watched_nodes import provenance_of
from rnb.record.run import Run

IRRELEVANT_FLAGS = frozenset(
    ("logs", "check", "quiet", "verbose", "json", "html", "find_peak", "repeat", "replay", "self_check")
)
"""Flags that say where the output goes or which runs to make, not how a run runs."""
FACTS = ("commit", "is_dirty", "changes", "hostname", "cpu", "num_cpus", "driver", "python", "packages")
"""What counts of the provenance, beside the GPUs' names and the digest of the input files."""
DIGEST_LENGTH = 12
"""Of a commit or a digest: enough to tell them apart."""
FOLDER = "folder"
"""The key under which a run can be told from all others; it makes no difference between runs."""
UNKNOWN = "-"
CONFIG = "config"
CONFIG_PATHS = (f"{CONFIG}.", f"{CONFIG}[")

Settings = Mapping[str, str]


class SettingsError(ValueError):
    """A key that no run has: one line for the user."""


def settings_of(run: Run) -> dict[str, str]:
    """Flags by name, config entries by path (config.pipeline[1].gpus), facts of code and machine, folder."""
    flags = {name: value for name, value in run.args.items() if name not in IRRELEVANT_FLAGS}
    facts = {**_facts(run.meta.provenance), **_nodes(run)}
    found = {**_flat("", flags), **_flat(CONFIG, run.config), **_flat("", facts)}
    return {**{key: str(value) for key, value in found.items()}, FOLDER: str(run.folder)}


def _facts(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are known."""
    facts = {name: provenance.get(name) for name in FACTS}
    for name in ("commit", "changes"):
        facts[name] = (provenance.get(name) or "")[:DIGEST_LENGTH]
    facts["inputs"] = (provenance.get("inputs") or {}).get("sha256_of_contents", "")[:DIGEST_LENGTH]
    facts["gpus"] = [gpu.get("name") for gpu in provenance.get("gpus") or []]
    return {name: fact for name, fact in facts.items() if fact not in (None, "", [])}


def _nodes(run: Run) -> dict[str, Any]:
    """The machines of a run over several, by name."""
    names = [provenance_of(run.meta, node["node"]).get("hostname", UNKNOWN) for node in run.meta.nodes]
    return {"nodes": names} if names else {}


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    """Nested JSON as paths like config.pipeline[1].gpus to values."""
    if isinstance(value, dict) and value:
        joined = ((f"{prefix}.{key}" if prefix else str(key), inner) for key, inner in value.items())
        return {path: leaf for key, inner in joined for path, leaf in _flat(key, inner).items()}
    if isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
        return {
            path: leaf
            for i, entry in enumerate(value)
            for path, leaf in _flat(f"{prefix}[{i}]", entry).items()
        }
    return {prefix: value}


def group_key(settings: Settings, keys: Sequence[str] | None = None) -> tuple[tuple[str, str], ...]:
    """Equal for runs of one group: those alike in `keys`, or in everything but the folder."""
    if keys is None:
        return tuple(sorted((key, value) for key, value in settings.items() if key != FOLDER))
    return tuple((key, settings.get(key, UNKNOWN)) for key in keys)


def differing_keys(all_settings: Sequence[Settings]) -> list[str]:
    """The keys in which the runs differ, in the order in which they come up.

    An entry of the config that one lacks is a difference; a flag or fact that one does not know is none.
    """
    keys = dict.fromkeys(key for settings in all_settings for key in settings if key != FOLDER)
    return [key for key in keys if len(_values(key, all_settings)) > 1]


def _values(key: str, all_settings: Sequence[Settings]) -> set[str]:
    values = {settings.get(key, UNKNOWN) for settings in all_settings}
    return values if key.startswith(CONFIG_PATHS) else values - {UNKNOWN}


def matches(settings: Settings, filters: Mapping[str, str]) -> bool:
    """Whether every key has the value, or one that fits the shell pattern."""
    return all(
        value == settings.get(key, UNKNOWN) or fnmatch.fnmatchcase(settings.get(key, UNKNOWN), value)
        for key, value in filters.items()
    )


def select(
    runs: Iterable[tuple[FoundRun, Run]], filters: Mapping[str, str]
) -> Iterator[tuple[FoundRun, Run]]:
    """The runs that match, as they are read. Raises SettingsError at the end for a key that none has."""
    all_settings = []
    for found, run in runs:
        settings = settings_of(run)
        all_settings.append(settings)
        if matches(settings, filters):
            yield found, run
    check_keys("--filter", list(filters), all_settings)


def check_keys(flag: str, keys: Sequence[str], all_settings: Sequence[Settings]) -> None:
    """Raises SettingsError for a key that none of the runs has."""
    known = {key for settings in all_settings for key in settings}
    for key in keys:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            advice = f"did you mean '{close[0]}'?" if close else f"'{FOLDER}', a flag's name or a config path"
            raise SettingsError(f"{flag} {key}: no run has this key; {advice}")
