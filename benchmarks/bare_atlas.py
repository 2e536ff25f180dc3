"""An atlas of columns and planes alone: no map, no index, so that ten million rows are written in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas import Atlas
from atlas.catalog.columns import describe_numbers
from atlas.catalog.identity import write_identity
from atlas.planes.plane import write_plane
from atlas.sky.sky_plane import write_sky
from atlas.storage import layout
from atlas.storage.manifest import Column, Manifest, Provenance, Segment, Space

BUILD_ID = "0123456789ab"
MAP_COLUMNS = ("map_x", "map_y")
SEED = 1

Words = tuple[str, ...]
WithWords = tuple[NDArray[Any], Words]


def bare_atlas(
    build: Path,
    columns: Mapping[str, NDArray[Any] | tuple[NDArray[Any], Words]],
    build_id: str = BUILD_ID,
    id_columns: tuple[str, ...] = (),
    dimension: int = 1,
) -> Atlas:
    """Write columns and the planes that they allow, and open them.

    Parameters
    ----------
    build : Path
        Folder of the build.
    columns : mapping of str to ndarray of shape (n,)
        Numbers, bytes for text, or (codes, vocabulary) for a category. `map_x` and `map_y`, float32, become the map's
        plane; `ra` and `dec`, float64, the sky.
    build_id : str
        Twelve hexadecimal digits.
    id_columns : tuple of str
        Columns that name a galaxy.
    dimension : int
        Of the embeddings, float16, which are the caller's to write where they are wanted.
    """
    (build / layout.COLUMNS).mkdir(parents=True)
    described = {name: _write(build, name, values) for name, values in columns.items()}
    n = len(np.load(build / layout.COLUMNS / f"{next(iter(columns))}.npy", mmap_mode="r"))
    in_space = tuple(described.pop(name) for name in MAP_COLUMNS if name in described)
    manifest = Manifest(
        format_version=layout.FORMAT_VERSION,
        build_id=build_id,
        created="",
        name="bare",
        title="Columns and planes",
        n_rows=n,
        segments=(Segment(start=0, stop=n),),
        id_columns=id_columns,
        columns=tuple(described.values()),
        spaces=(Space(name=layout.DEFAULT_SPACE, dimension=dimension, dtype="float16", columns=in_space),),
        provenance=Provenance(),
    )
    if in_space:
        folder = layout.space_path(build, layout.DEFAULT_SPACE) / layout.MAP_PLANE
        write_plane(folder, *(_numbers(columns[name]) for name in MAP_COLUMNS), seed=SEED)
    if id_columns:
        folder = layout.segment_path(build, 0) / layout.IDENTITY
        write_identity(folder, [_numbers(columns[name]) for name in id_columns])
    if layout.RA in described:
        write_sky(build / layout.SKY, *(_numbers(columns[name]) for name in (layout.RA, layout.DEC)), seed=SEED)
    return Atlas(build, manifest)


def _write(build: Path, name: str, values: NDArray[Any] | WithWords) -> Column:
    array, words = values if isinstance(values, tuple) else (values, ())
    file = f"{layout.COLUMNS}/{name}.npy"
    np.save(build / file, array)
    text = array.dtype.kind == "S"
    described = Column(
        name=name,
        file=file,
        dtype=array.dtype.str.lstrip("|") if text else array.dtype.name,
        kind="text" if text else "category" if words else "number",
        vocabulary=words,
    )
    if described.kind != "number":
        return described
    with np.errstate(invalid="ignore"):  # between infinite values there are no quantiles
        missing, quantiles = describe_numbers(array)
    return msgspec.structs.replace(described, missing=missing, quantiles=quantiles)


def _numbers(values: NDArray[Any] | WithWords) -> NDArray[Any]:
    return values[0] if isinstance(values, tuple) else values
