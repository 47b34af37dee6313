"""From a dotted path in a config to the class it names."""

from __future__ import annotations

import importlib
import importlib.machinery
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnb.home import HOME

UPSTREAM_FOLDER = Path(__file__).parent / "compat" / "upstream"
"""Modules under the names that steps written for snuspl/rnb import (runner_model, batcher, selector, ...)."""

FORMER_MODULES = {
    "rnb.step": "rnb.pipeline.compat.former_step",
    "rnb.time_card": "rnb.pipeline.compat.time_card",
    "rnb.selectors": "rnb.pipeline.compat.former_selectors",
    "rnb.batcher": "rnb.pipeline.batcher",
    "rnb.videos": "rnb.load.videos",
    "utils.class_utils": "rnb.pipeline.compat.class_utils",
    "R2Plus1D-PyTorch": "models.r2p1d",
}
"""Modules that code for RnB 0.1 or snuspl/rnb imports from packages, and where they are now."""

FORMER_CLASSES = {"models.r2p1d.model.R2P1DLayerRunner": "models.r2p1d.model.R2P1DRunner"}
"""Classes that configs of snuspl/rnb name, and what they are called now."""


def import_class(path: str) -> type[Any]:
    """The class at `path` ('package.module.Class'). Raises ValueError with a message for each way to fail."""
    _make_importable()
    path = FORMER_CLASSES.get(path, path)
    module_path, _, name = path.rpartition(".")
    if not module_path:
        raise ValueError(f"'{path}' is not a path of the form 'module.Class'")
    found = getattr(_import_module(module_path, path), name, None)
    if found is None:
        raise ValueError(f"'{path}': module '{module_path}' has no '{name}'")
    if not inspect.isclass(found):
        raise ValueError(f"'{path}' is not a class")
    return found


def _make_importable() -> None:
    """What a config names may lie in the current folder, or under a name of before."""
    for folder in (*_current_folder(), str(HOME), str(UPSTREAM_FOLDER)):
        if folder not in sys.path:
            sys.path.append(folder)
    if not any(isinstance(finder, _FormerModules) for finder in sys.meta_path):
        sys.meta_path.append(_FormerModules())


def _current_folder() -> Sequence[str]:
    """None where somebody has deleted it."""
    try:
        return (os.getcwd(),)
    except FileNotFoundError:
        return ()


class _FormerModules:
    """Finds a module of before where it is now."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        if name not in FORMER_MODULES:
            return None
        return importlib.machinery.ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, spec: Any) -> None:
        """The usual one; it is replaced at once."""

    def exec_module(self, module: Any) -> None:
        sys.modules[module.__name__] = importlib.import_module(FORMER_MODULES[module.__name__])


def _import_module(module_path: str, path: str) -> Any:
    try:
        return importlib.import_module(module_path)
    except ModuleNotFoundError as error:
        if error.name and (module_path == error.name or module_path.startswith(error.name + ".")):
            raise ValueError(f"'{path}': no module named '{error.name}'") from None
        raise ValueError(f"'{path}': its module needs '{error.name}', which is not installed") from error
    except (Exception, SystemExit) as error:
        problem = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(f"'{path}': importing it failed with {problem}") from error


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The named parameters of a function, without self."""
    found = inspect.signature(function).parameters
    return {name: parameter for name, parameter in found.items() if name != "self"}


def takes_any_option(function: Callable[..., Any]) -> bool:
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters(function).values())


def accepted(function: Callable[..., Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the `offered` keyword arguments that the function names."""
    return {name: value for name, value in offered.items() if name in parameters(function)}
