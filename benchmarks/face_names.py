"""Names the people on the sample pictures, with each detector: a run of its pipeline, and a table.

python -m benchmarks.face_names
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.measuring import run_pipeline
from rnb.record.run import Run

VIEWS = Path("data/faces/views")
CONFIGS = {"dlib": "config/faces-dlib.json", "MTCNN": "config/faces-mtcnn.json"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=VIEWS, help="label/picture (%(default)s)")
    parser.add_argument("--device", default="auto", help="as of benchmark.py (%(default)s)")
    args = parser.parse_args()
    count = sum(path.is_file() for path in args.data.glob("*/*"))
    if not count:
        parser.error(f"--data {args.data}: no picture in it; 'make data' prepares some")
    flags = ["--data", str(args.data), "--device", args.device, "-mi", "0", "-v", str(count)]
    columns = {detector: names_in(run_pipeline(path, *flags)) for detector, path in CONFIGS.items()}
    print("\n".join(table(columns)))


def names_in(run: Run) -> dict[str, str]:
    """What was found on each picture, by label/picture."""
    videos = run.requests["video"]
    return {
        "/".join(Path(videos[number]).parts[-2:]): words(result) for number, result in run.results.items()
    }


def words(result: dict[str, Any]) -> str:
    """As `astronaut, 0.18`: name and distance of each face."""
    faces = [f"{face['name'] or 'unknown'}, {face['distance']:.2f}" for face in result["faces"]]
    return "; ".join(faces) or "no face"


def table(columns: dict[str, dict[str, str]]) -> list[str]:
    """The lines of a table in Markdown."""
    rows = [["picture", *columns], ["---"] * (1 + len(columns))]
    pictures = sorted(set().union(*columns.values()))
    rows += [[picture, *(names.get(picture, "failed") for names in columns.values())] for picture in pictures]
    return [f"| {' | '.join(row)} |" for row in rows]


if __name__ == "__main__":
    main()
