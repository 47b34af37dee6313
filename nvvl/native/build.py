"""Compiles the native decode session. Needs a C++17 compiler, CXX or g++, and neither CUDA nor a GPU."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from nvvl.native.library import LIBRARY, SOURCES, hash_of_sources

OPTIONS = ("-std=c++17", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", "-fvisibility=hidden")


class BuildError(Exception):
    """The session was not built; the message is one line."""


def build(library: Path = LIBRARY) -> None:
    """Compile the session to `library`, which is replaced when all went well.

    Raises:
        BuildError: there is no compiler, or it refuses.
    """
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise BuildError(f"no C++ compiler {compiler!r}: install g++, or set CXX")
    partial = library.with_suffix(f".{os.getpid()}.partial")
    source = f'-DRNB_SOURCE="{hash_of_sources()}"'
    command = [compiler, *OPTIONS, source, str(SOURCES[0]), "-o", str(partial), "-ldl"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            lines = result.stderr.strip().splitlines() or ["no message"]
            raise BuildError(f"{compiler} failed: {next((x for x in lines if 'error' in x), lines[-1])}")
        partial.replace(library)
    finally:
        partial.unlink(missing_ok=True)


def main() -> None:
    try:
        build()
    except (BuildError, OSError) as error:
        sys.exit(f"nvvl.native.build: {error}; videos are decoded through PyNvVideoCodec instead")
    print(f"built {LIBRARY}")


if __name__ == "__main__":
    main()
