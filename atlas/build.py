"""An open build: its columns, spaces, planes and identities, each opened when first asked for."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from atlas.catalog.columns import Columns
from atlas.catalog.histogram import Histograms
from atlas.catalog.identity import Identity
from atlas.catalog.reserved_names import CLUSTER_NAME
from atlas.cluster_names import ClusterNames
from atlas.errors import InputError, NothingNearError
from atlas.expressions.given import WithGiven
from atlas.labelled import LabelledRows
from atlas.planes.column_plane import KEEP, MAX_BYTES, ColumnPlanes, PlaneAxes, column_axes
from atlas.planes.plane import Plane
from atlas.sky.sky_plane import SkyPlane
from atlas.space import OpenSpace
from atlas.storage import layout, validate
from atlas.storage.manifest import Manifest
from atlas.storage.thumbnails import ThumbnailStore

if TYPE_CHECKING:
    from atlas.labels.store import Labels

NEAREST_LOOK_ARCSEC = 10 * 3600.0


class OpenBuild:
    """An open build. Safe to share between threads; opening costs the same for a thousand rows or 42 million.

    Parameters
    ----------
    build : Path
        Its folder.
    manifest : Manifest
    apart : bool
        As of `open_index`.
    labels : Labels, optional
        Labels and collections of its galaxies; those beside the atlas by default.
    search_url : str
        Server that was filled with its embeddings and searches (`atlas.search.served_index`); by default, and where it
        was not filled from this build, its own index does.
    """

    def __init__(
        self,
        build: Path,
        manifest: Manifest,
        *,
        apart: bool = False,
        labels: Labels | None = None,
        search_url: str = "",
    ) -> None:
        self._labels = labels
        self.manifest = manifest
        self.build = build
        self.build_id = manifest.build_id
        self.n_rows = manifest.n_rows
        self._base = Columns(build, manifest.columns, manifest.n_rows)
        self._spaces = {
            s.name: OpenSpace(
                build, manifest, s, Columns(build, (*manifest.columns, *s.columns), manifest.n_rows), apart, search_url
            )
            for s in manifest.spaces
        }
        self.default_space = manifest.spaces[0].name
        # Seen in the other spaces, once asked for; not in the first, which would keep an atlas that nobody uses alive.
        self._views: dict[str, OpenBuild] = {}
        self._first: OpenBuild | None = None
        self._seeing = threading.Lock()
        self.column_planes = ColumnPlanes(self.build_id, self.columns(self.default_space), self.n_rows)

    @classmethod
    def open(cls, root: str | Path, *, apart: bool = False, labels: Labels | None = None, search_url: str = "") -> Self:
        """Open the current build of an atlas; sizes and headers of files are checked, not contents (`validate` does).

        Parameters
        ----------
        root : str or Path
            Folder of the atlas.
        apart : bool
            Whether the neighbour index is read by a process of its own (`atlas.search.engines.scann_process`), as a
            server needs.
        labels : Labels, optional
            Where labels and collections are kept, if not beside the atlas.
        search_url : str
            Server that searches, if it was filled with this build's embeddings.

        Raises
        ------
        FormatError
            If there is no atlas, or files are missing, of the wrong size, or with another header.
        """
        build, manifest = validate.open_current(Path(root))
        validate.check_files(build, manifest)
        return cls(build, manifest, apart=apart, labels=labels, search_url=search_url)

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

    @property
    def space_names(self) -> tuple[str, ...]:
        """Names of the embedding spaces, the first of them the one that a build opens in."""
        return tuple(self._spaces)

    def seen_in(self, name: str | None) -> Self:
        """The same open build with another of its spaces as the default: columns, conditions and searches follow it.

        Its `build_id` has the name of the space behind a dot, unless that is the first: answers differ.

        Parameters
        ----------
        name : str or None
            The first space where none is named.

        Raises
        ------
        InputError
            If there is no space of that name.
        """
        name = name or self.space_names[0]
        self.space(name)
        first = self._first or self
        if name == self.space_names[0]:
            return cast("Self", first)
        with self._seeing:
            if name not in self._views:
                self._views[name] = first._made_in(name)
            return cast("Self", self._views[name])

    def _made_in(self, name: str) -> OpenBuild:
        """The view in a space, of the first one."""
        shared = ("sky", "identity", "thumbnails", *(("labelled",) if self._labels is not None else ()))
        for part in shared:
            getattr(self, part)  # opened once for all
        made = copy.copy(self)
        for own in ("histograms", "condition_columns", "cluster_names"):
            made.__dict__.pop(own, None)
        made._first = self
        made.default_space = name
        made.build_id = f"{self.build_id}.{name}"
        made.column_planes = ColumnPlanes(made.build_id, made.columns(name), made.n_rows)
        return made

    @cached_property
    def sky(self) -> SkyPlane:
        """The sky's level store."""
        base, *appended = (
            layout.segment_path(self.build, number) / layout.SKY for number in range(len(self.manifest.segments))
        )
        return SkyPlane.open(base, self._base.array(layout.RA), self._base.array(layout.DEC), appended)

    def column_axes(self, x: str, y: str) -> PlaneAxes:
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
        seed = self.space().plane.seed
        return self.column_planes.get(x, y, scratch, seed=seed, keep=keep, max_bytes=max_bytes, advance=advance)

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
    def thumbnails(self) -> ThumbnailStore | None:
        """The packed images, where the atlas has some."""
        if self.manifest.thumbnails is None:
            return None
        return ThumbnailStore(self.build / layout.THUMBNAILS, self.n_rows)

    @cached_property
    def labels(self) -> Labels:
        """Labels and collections that people kept of these galaxies."""
        if self._labels is not None:
            return self._labels
        from atlas.labels.store import Labels, beside  # SQLAlchemy is loaded for those who ask for labels

        return Labels(beside(self.build.parent.parent))

    @cached_property
    def labelled(self) -> LabelledRows:
        """Rows of the labelled galaxies."""
        return LabelledRows(self.labels, self.identity, self.sky, self._base)

    @cached_property
    def cluster_names(self) -> ClusterNames:
        """Names that people gave to the clusters of the default space."""
        return ClusterNames(self.labels, self.labelled, self.space())

    @cached_property
    def condition_columns(self) -> Columns:
        """Names of a typed condition: columns of the catalogue and of the default space, and what people gave."""
        return WithGiven(self.columns(self.default_space), self._words)

    def _words(self, name: str) -> list[str]:
        # Opened by those alone who ask for what people gave.
        return self.cluster_names.words() if name == CLUSTER_NAME else self.labelled.words(name)

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
            How far is looked first for a galaxy to tell of; beyond, from the survey's footprint.

        Raises
        ------
        NothingNearError
            If no galaxy lies within the radius; says how far the nearest is.
        """
        look_arcsec = max(radius_arcsec, look_arcsec)
        found = self.sky.nearest(ra_deg, dec_deg, look_arcsec / 3600)
        row, separation = found or self.sky.nearest_of_all(ra_deg, dec_deg)
        if separation > radius_arcsec:
            away = _angle(separation)
            outside = "" if self.sky.covers(ra_deg, dec_deg) else ", which lies outside the survey"
            raise NothingNearError(
                f"no galaxy within {radius_arcsec:g}″ of {ra_deg:.5f} {dec_deg:+.5f}{outside}; the nearest is "
                f"{away} away",
                row,
                separation,
            )
        return row, separation


def _angle(arcsec: float) -> str:
    """A distance on the sky in the unit that suits it."""
    if arcsec < 120:
        return f"{arcsec:.1f}″"
    return f"{arcsec / 60:.1f}′" if arcsec < 7200 else f"{arcsec / 3600:.1f}°"
