"""A gallery of known people, `folder/name/picture`, and who of them a face is.

The descriptors of its faces are kept in a file in the folder, with a digest of the pictures and the weights
that they were made from. When these change, or the file is damaged, it is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from models.faces.describer import SIZE, Describer, Descriptors
from models.faces.image_file import EXTENSIONS, read_image
from models.faces.mtcnn import Mtcnn
from models.faces.pictures import DEFAULT_MAX_PIXELS
from models.faces.weights import DESCRIPTOR, FIVE_POINTS, MTCNN, weight_file

FILE_NAME = ".descriptors.npz"
METHOD = 1
"""Raise it when descriptors are made in another way, so that no old ones are taken."""


class Match(NamedTuple):
    """Who a face is: the nearest face of the gallery, if it is near enough."""

    name: str | None
    distance: float
    """To the nearest face, whoever it is."""


@dataclass(frozen=True)
class Gallery:
    """The faces of known people: the name of each, and its descriptor."""

    names: tuple[str, ...]
    descriptors: Descriptors

    def match(self, descriptors: Descriptors, threshold: float) -> list[Match]:
        """Who each of some faces (faces, 128) is; nobody where the nearest is not within the threshold."""
        apart = np.linalg.norm(descriptors[:, None] - self.descriptors, axis=2)
        nearest = apart.argmin(1)
        distances = apart[np.arange(len(apart)), nearest].tolist()
        return [
            Match(self.names[place] if distance <= threshold else None, distance)
            for place, distance in zip(nearest.tolist(), distances, strict=True)
        ]


def open_gallery(folder: str, weights: str) -> Gallery:
    """The gallery in a folder, from the file of descriptors or, where that is not of it, from the pictures.

    Raises:
        ValueError: there is no such folder, no picture in it, no face in a picture, or no weights.
    """
    pictures = _pictures(folder)
    files = [Path(weight_file(weights, name)) for name in (*MTCNN, FIVE_POINTS, DESCRIPTOR)]
    named = {str(path.relative_to(folder)): path for path in pictures}
    digest = _digest({**named, **{path.name: path for path in files}})
    kept = Path(folder) / FILE_NAME
    if (gallery := _load(kept, digest)) is None:
        gallery = _describe(pictures, weights)
        with suppress(OSError):  # a folder that cannot be written to is described each time
            _save(gallery, kept, digest)
    return gallery


def _pictures(folder: str) -> list[Path]:
    if not os.path.isdir(folder):
        raise ValueError(
            f"gallery: {folder}: not a folder; 'make data' prepares a sample in data/faces/gallery"
        )
    pictures = sorted(path for path in Path(folder).glob("*/*") if _is_picture(path))
    if not pictures:
        raise ValueError(
            f"gallery: {folder}: no picture in it ({', '.join(sorted(EXTENSIONS))}), as name/picture"
        )
    return pictures


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and path.is_file()


def _digest(files: Mapping[str, Path]) -> str:
    """Of the names and the contents."""
    contents = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return hashlib.sha256(json.dumps([METHOD, contents]).encode()).hexdigest()


def _describe(pictures: Iterable[Path], weights: str) -> Gallery:
    detector, describer = Mtcnn(weights, torch.device("cpu")), Describer(weights)
    names, descriptors = [], []
    for path in pictures:
        picture, _ = read_image(str(path), DEFAULT_MAX_PIXELS)
        (faces,) = detector.find(torch.from_numpy(picture)[None])
        if not faces:
            raise ValueError(f"gallery: {path}: no face found in it")
        largest = max(faces, key=lambda face: face.box[2] - face.box[0])
        names.append(path.parent.name)
        descriptors.append(describer.describe(picture, [largest]))
    return Gallery(tuple(names), np.concatenate(descriptors))


def _save(gallery: Gallery, path: Path, digest: str) -> None:
    """Whole or not at all, also where several write at once."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, digest=digest, names=np.array(gallery.names), descriptors=gallery.descriptors)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _load(path: Path, digest: str) -> Gallery | None:
    """The gallery in a file, if it is whole and of these pictures."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            if str(kept["digest"]) != digest:
                return None
            names, descriptors = tuple(kept["names"].tolist()), kept["descriptors"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    is_whole = descriptors.shape == (len(names), SIZE) and descriptors.dtype == np.float32
    return Gallery(names, descriptors) if is_whole else None
