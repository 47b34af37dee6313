"""From a dotted path in a config to the class it names."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

COMPAT_FOLDER = os.path.join(os.path.dirname(__file__), "compat")
"""Modules under the names that steps written for snuspl/rnb import (runner_model, batcher, selector, ...)."""


def import_class(path: str) -> type[Any]:
    """The class at `path` ('package.module.Class'). Raises ValueError with a message for each way to fail."""
    for folder in (os.getcwd(), COMPAT_FOLDER):
        if folder not in sys.path:
            sys.path.append(folder)
    module_path, _, name = path.rpartition(".")
    if not module_path:
        raise ValueError(f"'{path}' is not a path of the form 'module.Class'")
    found = getattr(_import_module(module_path, path), name, None)
    if found is None:
        raise ValueError(f"'{path}': module '{module_path}' has no '{name}'")
    if not inspect.isclass(found):
        raise ValueError(f"'{path}' is not a class")
    return found


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
