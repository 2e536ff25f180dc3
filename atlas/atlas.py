"""An open atlas: the one object that answers questions about a build, in the dashboard and in a notebook alike.

>>> from atlas import Atlas
>>> atlas = Atlas.open("data/xdf")
>>> atlas.similar(ra_deg=53.16, dec_deg=-27.78)          # a pandas DataFrame, most similar first
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas import notebook
from atlas.catalog.cluster_labels import Word, cluster_words, speaks_of_galaxies
from atlas.catalog.columns import Columns
from atlas.catalog.histogram import Histograms
from atlas.catalog.identity import Identity
from atlas.errors import InputError, NothingNearError
from atlas.mask import Mask
from atlas.planes.column_plane import KEEP, MAX_BYTES, Axes, ColumnPlanes, column_axes
from atlas.planes.plane import Plane
from atlas.queries import planner
from atlas.queries.query import Query, Result
from atlas.queries.selection import All, Selection, canonical
from atlas.queries.selection_mask import evaluate
from atlas.search.approximate import NeighborIndex
from atlas.search.quality import Quality, read_quality
from atlas.search.segmented_index import open_segments
from atlas.sky.sky_plane import SkyPlane
from atlas.sky.sky_regions import separation_deg
from atlas.storage import layout, validate
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Manifest, Space
from atlas.storage.thumbnails import Thumbnails

NEAREST_LOOK_ARCSEC = 10 * 3600.0
SCAN_ROWS = 1 << 20


class ClusterInfo(msgspec.Struct, frozen=True):
    """One cluster of the map.

    Attributes
    ----------
    label : int
        0 is the largest.
    size : int
        Members among all rows.
    medoid : int
        Row of the member nearest to the cluster's mean embedding.
    map_x, map_y : float
        Where it lies on the map.
    centroid : ndarray of shape (d,), float32
        Mean embedding, unit length.
    """

    label: int
    size: int
    medoid: int
    map_x: float
    map_y: float
    centroid: NDArray[np.float32]


class OpenSpace:
    """One embedding space of an open atlas. Large parts are opened when first asked for, once."""

    def __init__(self, build: Path, manifest: Manifest, space: Space, columns: Columns, apart: bool) -> None:
        self.name = space.name
        self.dimension = space.dimension
        self.n_rows = manifest.n_rows
        self.columns = columns
        self.described = space
        self._folder = layout.space_path(build, space.name)
        self._segments = manifest.segments
        self._segment_folders = [
            layout.space_path(layout.segment_path(build, number), space.name) for number in range(len(self._segments))
        ]
        self._lock = threading.Lock()
        self._index: NeighborIndex | None = None
        self._apart = apart
        # Where a galaxy lies and what it is called does not say what it is like.
        self._unsaid = {layout.RA, layout.DEC, *manifest.id_columns}

    @cached_property
    def embeddings(self) -> NDArray[Any]:
        """Unit embeddings of shape (n, d), memory-mapped."""
        return open_array(
            self._folder / layout.EMBEDDINGS, shape=(self.n_rows, self.dimension), dtype=self.described.dtype
        )

    @cached_property
    def neighbors(self) -> NDArray[np.uint32]:
        """The ten nearest of every row that `known_rows` names, nearest first, memory-mapped; shape (m, 10).

        A tiny atlas has fewer than ten.
        """
        m = self.n_rows if self.known_rows is None else self.known_rows.size
        k = min(layout.KNN_NEIGHBORS, self.n_rows - 1)
        return open_array(self._folder / layout.KNN / layout.KNN_ROWS, shape=(m, k), dtype="uint32")

    @cached_property
    def known_rows(self) -> NDArray[np.uint32] | None:
        """Rows whose neighbours were found, ascending, uint32; None where those of all rows were."""
        path = self._folder / layout.KNN / layout.KNN_SAMPLED
        return open_array(path, dtype="uint32") if path.exists() else None

    @property
    def index(self) -> NeighborIndex:
        """The neighbour index; loading it takes seconds at tens of millions of rows, hence the lock."""
        index = self._index
        if index is None or index.ended:
            with self._lock:
                index = self._index
                if index is None or index.ended:
                    folders = [folder / layout.INDEX for folder in self._segment_folders]
                    self._index = index = open_segments(folders, self._segments, self.embeddings, apart=self._apart)
        return index

    @property
    def index_loaded(self) -> bool:
        """Whether the index is in memory already."""
        return self._index is not None and not self._index.ended

    @cached_property
    def quality(self) -> Quality:
        """What the build measured: recall by kind of query, trustworthiness of the map."""
        return read_quality(self._folder)

    @cached_property
    def plane(self) -> Plane:
        """The map's level store and count pyramid."""
        base, *appended = (folder / layout.MAP_PLANE for folder in self._segment_folders)
        return Plane.open(base, appended)

    @cached_property
    def outliers(self) -> NDArray[np.uint32]:
        """Rows of the outlier layer, most anomalous first."""
        return np.array(open_array(self._folder / layout.OUTLIERS, dtype="uint32"))

    @cached_property
    def clusters(self) -> tuple[ClusterInfo, ...]:
        """The clusters, largest first."""
        folder = self._folder / layout.CLUSTERS
        size, medoid, centroids, map_xy = (
            np.array(open_array(folder / f"{name}.npy")) for name in ("size", "medoid", "centroids", "map_xy")
        )
        return tuple(
            ClusterInfo(
                label,
                int(size[label]),
                int(medoid[label]),
                float(map_xy[label, 0]),
                float(map_xy[label, 1]),
                centroids[label],
            )
            for label in range(size.shape[0])
        )

    @cached_property
    def cluster_words(self) -> dict[int, tuple[Word, ...]]:
        """What sets clusters apart, by label, as far as the catalogue says (`atlas.catalog.cluster_labels`)."""
        if "cluster" not in self.columns:
            return {}
        own = {c.name for c in self.described.columns}
        used = [c for c in self.columns if c.name not in own | self._unsaid and speaks_of_galaxies(c)]
        return cluster_words(self.columns, used, self.n_rows, len(self.clusters))

    def cluster(self, label: int) -> ClusterInfo:
        """A cluster by its label.

        Raises
        ------
        InputError
            If there is none of that label.
        """
        if not 0 <= label < len(self.clusters):
            raise InputError(f"no cluster {label}; this atlas has {len(self.clusters)}, from 0, the largest, on")
        return self.clusters[label]


class Atlas:
    """An open build. Safe to share between threads; opening costs the same for a thousand rows or 42 million.

    Parameters
    ----------
    build : Path
        Its folder.
    manifest : Manifest
    apart : bool
        As of `open_index`.
    """

    def __init__(self, build: Path, manifest: Manifest, *, apart: bool = False) -> None:
        self.manifest = manifest
        self.build = build
        self.build_id = manifest.build_id
        self.n_rows = manifest.n_rows
        self._base = Columns(build, manifest.columns, manifest.n_rows)
        self._spaces = {
            s.name: OpenSpace(
                build, manifest, s, Columns(build, (*manifest.columns, *s.columns), manifest.n_rows), apart
            )
            for s in manifest.spaces
        }
        self.default_space = manifest.spaces[0].name
        self.column_planes = ColumnPlanes(self.build_id, self.space())

    @classmethod
    def open(cls, root: str | Path, *, apart: bool = False) -> Atlas:
        """Open the current build of an atlas; sizes of files are checked, contents are not (`validate` does).

        Parameters
        ----------
        root : str or Path
            Folder of the atlas.
        apart : bool
            Whether the neighbour index is read by a process of its own (`atlas.search.engines.scann_process`), as a
            server needs.

        Raises
        ------
        FormatError
            If there is no atlas, or files are missing or of the wrong size.
        """
        build, manifest = validate.open_current(Path(root))
        validate.check_sizes(build, manifest)
        return cls(build, manifest, apart=apart)

    def columns(self, space: str | None = None) -> Columns:
        """The catalogue's columns, with those of a space where one is named."""
        return self._base if space is None else self.space(space).columns

    def space(self, name: str | None = None) -> OpenSpace:
        """An embedding space, the first of the manifest by default.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        name = name or self.default_space
        if name not in self._spaces:
            raise InputError(f"no space {name!r}; this atlas has {', '.join(self._spaces)}")
        return self._spaces[name]

    @cached_property
    def sky(self) -> SkyPlane:
        """The sky's level store."""
        base, *appended = (
            layout.segment_path(self.build, number) / layout.SKY for number in range(len(self.manifest.segments))
        )
        return SkyPlane.open(base, self._base.array(layout.RA), self._base.array(layout.DEC), appended)

    def column_axes(self, x: str, y: str) -> Axes:
        """The axes of the plane of two number columns: logarithms, or values counted from a zero in a unit.

        Raises
        ------
        InputError
            If a column does not exist or holds no numbers.
        """
        return column_axes(self.columns(self.default_space), x, y)

    def column_plane(
        self,
        x: str,
        y: str,
        scratch: Path,
        *,
        keep: int = KEEP,
        max_bytes: int = MAX_BYTES,
        advance: Callable[[float], object] = lambda _: None,
    ) -> Plane:
        """The plane of two number columns of the catalogue or of the default space, built where it is not there yet.

        Building takes about a quarter of a second a million rows; one plane is built at a time, the others wait.

        Parameters
        ----------
        x, y : str
            The columns. Coordinates are their values along the axes that `column_axes` tells.
        scratch : Path
            Folder of derived files, made if it is missing. It may be removed at any time.
        keep, max_bytes : int
            How many planes, and how many bytes of them, stay there; the least recently used go first.
        advance : callable
            Told the share (0 … 1) of the building that is done. What it raises stops the building, without a trace.

        Raises
        ------
        InputError
            If a column does not exist or holds no numbers, or no row has both.
        ResourceError
            If the disk has no room.
        """
        return self.column_planes.get(x, y, scratch, keep=keep, max_bytes=max_bytes, advance=advance)

    def column_plane_ready(self, x: str, y: str, scratch: Path) -> bool:
        """Whether `column_plane` has nothing left to build."""
        return self.column_planes.ready(x, y, scratch)

    @cached_property
    def histograms(self) -> Histograms:
        """Histograms of the columns of the catalogue and of the default space."""
        return Histograms(self.columns(self.default_space))

    @cached_property
    def identity(self) -> Identity:
        """Ids to rows and back."""
        return Identity(self.build, self.manifest.id_columns, self._base, self.manifest.segments)

    @cached_property
    def thumbnails(self) -> Thumbnails | None:
        """The packed images, where the atlas has some."""
        if self.manifest.thumbnails is None:
            return None
        return Thumbnails(self.build / layout.THUMBNAILS, self.n_rows)

    def mask(self, selection: Selection | str) -> Mask:
        """Which rows a selection holds, exactly; text is a condition, such as "snr > 100".

        Raises
        ------
        InputError
            If the selection names what the atlas does not have.
        """
        return evaluate(self, canonical(selection))

    def run(self, query: Query, mask: Mask | None = None) -> Result:
        """Answer a query; `mask` may bring the rows of its selection if they are known already."""
        if mask is None and not isinstance(canonical(query.selection), All):
            mask = self.mask(query.selection)
        return planner.run(self, query, mask)

    def position(self, row: int) -> tuple[float, float]:
        """RA and Dec of a row in degrees (ICRS)."""
        return float(self._base.array(layout.RA)[row]), float(self._base.array(layout.DEC)[row])

    def nearest(
        self, ra_deg: float, dec_deg: float, radius_arcsec: float, look_arcsec: float = NEAREST_LOOK_ARCSEC
    ) -> tuple[int, float]:
        """Row nearest to a position, and its distance in arcseconds.

        Parameters
        ----------
        ra_deg, dec_deg : float
            The position (ICRS).
        radius_arcsec : float
            How near it has to be.
        look_arcsec : float
            How far the index looks for a galaxy to tell of; beyond, all rows are gone through.

        Raises
        ------
        NothingNearError
            If no galaxy lies within the radius; says how far the nearest is.
        """
        look_arcsec = max(radius_arcsec, look_arcsec)
        found = self.sky.nearest(ra_deg, dec_deg, look_arcsec / 3600)
        row, separation = found or self._nearest_of_all(ra_deg, dec_deg)
        if separation > radius_arcsec:
            away = _angle(separation)
            raise NothingNearError(
                f"no galaxy within {radius_arcsec:g}″ of {ra_deg:.5f} {dec_deg:+.5f}; the nearest is {away} away",
                row,
                separation,
            )
        return row, separation

    def _nearest_of_all(self, ra_deg: float, dec_deg: float) -> tuple[int, float]:
        """As `nearest`, by a pass over all rows: for positions far outside the footprint, where no index helps."""
        ra, dec = self._base.array(layout.RA), self._base.array(layout.DEC)
        best = (0, np.inf)
        for start in range(0, self.n_rows, SCAN_ROWS):
            part = slice(start, start + SCAN_ROWS)
            separation = separation_deg(ra[part], dec[part], ra_deg, dec_deg)
            at = int(np.argmin(separation))
            if separation[at] * 3600 < best[1]:
                best = (start + at, float(separation[at]) * 3600)
        return best

    # The notebook's way in: positions or ids in, a table out.

    similar = notebook.similar
    table = notebook.table


def _angle(arcsec: float) -> str:
    """A distance on the sky in the unit that suits it."""
    if arcsec < 120:
        return f"{arcsec:.1f}″"
    return f"{arcsec / 60:.1f}′" if arcsec < 7200 else f"{arcsec / 3600:.1f}°"
