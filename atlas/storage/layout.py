"""The layout of an atlas on disk, format version 1. Names that several modules use live here.

    <atlas>/
        CURRENT                       one line: the id of the build in use, swapped by rename
        builds/<id>/
            manifest.json             written last: without a valid manifest a build does not exist
            columns/<name>.npy        shared by all spaces, in source order (row = uint32), memory-mappable
            artefacts/<name>.npy      such columns measured from the images, where the catalogue does not have them
            identity/keys.npy         uint64, sorted hashes of the id columns
                     rows.npy         uint32, the row of each key
            sky/levels.npy …          level store of the sky (`atlas.sky.sky_plane`)
                background.png        optional: a picture of the sky itself
            thumbnails/shard-000.bin  packed images
                       offsets.npy    lengths.npy: where each row's image lies (`atlas.storage.thumbnails`)
            spaces/<name>/
                embeddings.npy        (n, d) unit rows, float16 or float32
                quality.json          what the build measured (`atlas.search.quality`)
                index/                the neighbour index's own files (`atlas.search.approximate`)
                knn/rows.npy          uint32 (n, 10), ten nearest of every row, nearest first
                    similarity.npy    float32 (n, 10)
                    sampled.npy       uint32 (m,), ascending: where it exists, the two above are of these rows alone
                map/plane/            level store and count pyramid of the map (`atlas.planes.plane`)
                    outliers.npy      uint32, rows of the outlier layer, most anomalous first
                    subsample.npy …   rows that UMAP saw
                clusters/             medoid.npy size.npy centroids.npy map_xy.npy stability.npy, of all scales
                         tree.npy     int16 (3, f): which cluster of each scale holds the f finest (not in older ones)
                anomalies/quantiles.npy   float32 (6, 1025): makes percentiles of scores (`atlas.catalog.anomalies`)
                columns/<name>.npy    map_x map_y stray cluster cluster_… anomaly … trust: of the space
            stages/<name>.json        what each stage of the build read, wrote and measured
                   <space>/           likewise those of a space that was added
            …/<array>.npy.1           how an array of rows goes on with those appended first: `appended_array`
            segments/1/               what else these rows have of their own, in the same places: identity/ sky/
                                      spaces/<name>/index/ spaces/<name>/map/plane/
        builds/.<id>.partial/         a build under way; resumed by the same command, never served
        labels.sqlite                 what people kept, of all builds, where no other place is named (`atlas.labels`)

A build is published by two renames: its folder loses the dot, then CURRENT is swapped. The build before the current
one stays, so that a reader which opened it a moment ago can finish.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

FORMAT_VERSION = 1

CURRENT = "CURRENT"
BUILDS = "builds"
MANIFEST = "manifest.json"
COLUMNS = "columns"
IDENTITY = "identity"
ARTEFACTS = "artefacts"
SKY = "sky"
SKY_BACKGROUND = "sky/background.png"
THUMBNAILS = "thumbnails"
SPACES = "spaces"
SEGMENTS = "segments"
STAGES = "stages"
EMBEDDINGS = "embeddings.npy"
INDEX = "index"
KNN = "knn"
KNN_ROWS = "rows.npy"
KNN_SIMILARITY = "similarity.npy"
KNN_SAMPLED = "sampled.npy"
MAP = "map"
MAP_PLANE = "map/plane"
OUTLIERS = "map/outliers.npy"
CLUSTERS = "clusters"
ANOMALIES = "anomalies"
ANOMALY_QUANTILES = "anomalies/quantiles.npy"

RA = "ra"
DEC = "dec"
SOURCE_ROW = "source_row"  # names galaxies that no column of the source names: of one build alone
KNN_NEIGHBORS = 10
DEFAULT_SPACE = "v1"

BUILD_ID = re.compile(r"[0-9a-f]{12}")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
SEEN = r"[0-9a-f]{12}(\.[A-Za-z][A-Za-z0-9_]{0,63})?"
"""Name of a build as it is seen: its id, and behind a dot the space where that is not the first (`OpenBuild.seen_in`).
What is remembered of a build, its addresses and receipts go by it."""


def build_path(root: Path, build_id: str) -> Path:
    """Folder of a published build."""
    return root / BUILDS / build_id


def partial_path(root: Path, build_id: str) -> Path:
    """Folder of a build under way."""
    return root / BUILDS / f".{build_id}.partial"


def segment_path(build: Path, number: int) -> Path:
    """Folder of what a segment has of its own; that of the first, number 0, is the build's."""
    return build / SEGMENTS / str(number) if number else build


def space_path(build: Path, space: str) -> Path:
    """Folder of one space of a build."""
    return build / SPACES / space


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file so that a reader sees the old content or the new one, never a part, even after a crash."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with scratch.open("wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    scratch.replace(path)
