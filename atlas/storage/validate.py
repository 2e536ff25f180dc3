"""`validate`: reads every byte of an atlas and says what is wrong with it, all of it, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.errors import FormatError
from atlas.storage import layout
from atlas.storage.arrays import open_array
from atlas.storage.manifest import File, Manifest, Space, read_manifest
from atlas.storage.publish import current_build, hash_ends, hash_file, list_files

UNIT_TOLERANCE = {"float16": 2e-3, "float32": 1e-5}
_CHUNK = 1 << 18


def open_current(root: Path) -> tuple[Path, Manifest]:
    """Folder and manifest of the build in use.

    Raises
    ------
    FormatError
        If there is no atlas, or its manifest is not valid.
    """
    build_id = current_build(root)
    if build_id is None:
        raise FormatError(f"{root} holds no atlas: no file {layout.CURRENT}")
    build = layout.build_path(root, build_id)
    if not build.is_dir():
        raise FormatError(f"{root / layout.CURRENT} names build {build_id}, which is missing")
    return build, read_manifest(build)


def check_files(build: Path, manifest: Manifest) -> None:
    """Whether every file of the manifest is there, as long as it should be, with the headers that were written.

    At most 8 kB of each are read, whatever n: a changed header would be met as nonsense by whoever reads it, some of
    whom never return. What lies between is for `validate`, and for a server that looks while it serves.

    Raises
    ------
    FormatError
        Naming all files that are missing, of another size, or changed at an end.
    """
    wrong = []
    for name, file in manifest.files.items():
        try:
            size = (build / name).stat().st_size
        except OSError:
            wrong.append(f"{name} is missing")
            continue
        if size != file.size:
            wrong.append(f"{name} has {size} bytes, expected {file.size}")
        elif file.ends and hash_ends(build / name, size) != file.ends:
            wrong.append(f"{name} was changed: its first or last bytes are not those that were written")
    if wrong:
        raise FormatError(f"{build}: " + "; ".join(wrong[:8]) + (f"; and {len(wrong) - 8} more" if wrong[8:] else ""))


def validate(root: Path, advance: Callable[[int], object] = lambda _: None) -> list[str]:
    """Every fault found, in words; empty when the atlas is whole.

    Parameters
    ----------
    root : Path
        Folder of the atlas.
    advance : callable
        Told the bytes of each block that was read.
    """
    try:
        build, manifest = open_current(root)
    except FormatError as e:
        return [str(e)]
    return build_faults(build, manifest, advance)


def build_faults(build: Path, manifest: Manifest, advance: Callable[[int], object] = lambda _: None) -> list[str]:
    """As `validate`, for a build of which the manifest need not be written yet."""
    strays = sorted(set(list_files(build)) - manifest.files.keys())
    faults = [f"{name} is not in the manifest" for name in strays]
    faults += [fault for _, fault in file_faults(build, manifest.files, advance)]
    if not faults:
        # Contents are looked at only where the bytes are those that were written.
        faults.extend(_column_faults(build, manifest))
        for space in manifest.spaces:
            faults.extend(_space_faults(build, manifest, space))
        faults.extend(_sky_faults(build, manifest))
    return faults


def total_bytes(root: Path) -> int:
    """Bytes that `validate` will read."""
    _, manifest = open_current(root)
    return sum(f.size for f in manifest.files.values())


def file_faults(
    build: Path, files: Mapping[str, File], advance: Callable[[int], object] = lambda _: None
) -> Iterator[tuple[str, str]]:
    """Files whose bytes are not those of the manifest: name and fault, in words, as each is found.

    Parameters
    ----------
    build : Path
    files : mapping of str to File
        Of a manifest, all or some.
    advance : callable
        Told the bytes of each block that was read.
    """
    for name, expected in files.items():
        try:
            found = hash_file(build / name, advance)
        except FileNotFoundError:
            yield name, f"{name} is missing"
            continue
        except OSError as error:
            yield name, f"{name} cannot be read: {error.strerror}"
            continue
        if found.size != expected.size:
            yield name, f"{name} has {found.size} bytes, expected {expected.size}"
        elif found.sha256 != expected.sha256:
            yield name, f"{name} was changed: its SHA-256 is not the manifest's"


def _column_faults(build: Path, manifest: Manifest) -> Iterator[str]:
    """Each row must have a value of the described type in every column."""
    for column in (*manifest.columns, *(c for space in manifest.spaces for c in space.columns)):
        try:
            open_array(build / column.file, shape=(manifest.n_rows,), dtype=column.dtype)
        except FormatError as e:
            yield f"column {column.name}: {e}"


def _space_faults(build: Path, manifest: Manifest, space: Space) -> Iterator[str]:
    folder = layout.space_path(build, space.name)
    n = manifest.n_rows
    embeddings = open_array(folder / layout.EMBEDDINGS, shape=(n, space.dimension), dtype=space.dtype)
    worst = 0.0
    for start in range(0, n, _CHUNK):
        norms = np.linalg.norm(embeddings[start : start + _CHUNK].astype(np.float32), axis=1)
        worst = max(worst, float(np.abs(norms - 1).max())) if np.isfinite(norms).all() else np.inf
    if worst > UNIT_TOLERANCE[space.dtype]:
        yield f"{space.name}: embeddings are not unit vectors (off by up to {worst:.2g})"
    neighbors = open_array(folder / layout.KNN / "rows.npy")
    sampled = folder / layout.KNN / layout.KNN_SAMPLED
    rows_known = n
    if sampled.exists():
        known = open_array(sampled, dtype="uint32")
        rows_known = known.shape[0]
        if int(known.max(initial=0)) >= n:
            yield f"{space.name}: the sample of rows with neighbours names rows that do not exist"
        if (known[1:] <= known[:-1]).any():
            yield f"{space.name}: the sample of rows with neighbours is not in ascending order"
    if neighbors.shape[0] != rows_known or (neighbors.size and int(neighbors.max()) >= n):
        yield f"{space.name}: neighbours name rows that do not exist"
    of_segments = (layout.space_path(part, space.name) / layout.MAP_PLANE for part in _segment_paths(build, manifest))
    yield from _order_faults(of_segments, n, f"{space.name}: map")


def _sky_faults(build: Path, manifest: Manifest) -> Iterator[str]:
    dec = open_array(build / layout.COLUMNS / f"{layout.DEC}.npy", shape=(manifest.n_rows,), dtype="float64")
    ra = open_array(build / layout.COLUMNS / f"{layout.RA}.npy", shape=(manifest.n_rows,), dtype="float64")
    if not (_within(ra, 0, 360) and _within(dec, -90, 90)):
        yield "positions lie outside RA 0–360°, Dec ±90°"
    of_segments = (part / layout.SKY for part in _segment_paths(build, manifest))
    yield from _order_faults(of_segments, manifest.n_rows, "sky")


def _within(values: NDArray[Any], low: float, high: float) -> bool:
    return bool(values.min() >= low and values.max() <= high)


def _segment_paths(build: Path, manifest: Manifest) -> list[Path]:
    return [layout.segment_path(build, number) for number in range(len(manifest.segments))]


def _order_faults(folders: Iterable[Path], n_rows: int, what: str) -> Iterator[str]:
    """The level stores of all segments together must hold every row exactly once."""
    seen = np.zeros(n_rows, dtype=np.bool_)
    held = 0
    for folder in folders:
        rows = open_array(folder / "row.npy", dtype="uint32")
        held += rows.shape[0]
        seen[rows[rows < n_rows]] = True
    if held != n_rows or not seen.all():
        yield f"{what}: levels do not hold every row once"
