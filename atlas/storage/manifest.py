"""The manifest of a build: what it holds, where it came from, how good it measured.

Written last and read first: a folder without a valid manifest is not a build.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from atlas.errors import FormatError, shorten
from atlas.storage import layout

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
Count = Annotated[int, msgspec.Meta(ge=0)]
ColumnKind = Literal["number", "category", "flags", "text"]


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of everything in the manifest: immutable, and a field that this version does not know is an error."""


class Column(_Record, frozen=True, kw_only=True):
    """One value a row.

    Attributes
    ----------
    name : str
        As the survey calls it.
    file : str
        Path of the array, relative to the build.
    dtype : str
        numpy's name of the stored type.
    kind : {"number", "category", "flags", "text"}
        Categories are stored as positions in `vocabulary`, text as UTF-8 bytes of fixed width, flags as bit sets.
    unit, ucd, description : str
        As the survey gives them; empty when unknown.
    missing : int
        Number of rows without a value (stored as NaN).
    quantiles : tuple of float
        Minimum, 1, 5, 25, 50, 75, 95, 99 % and maximum of a number column (of a sample beyond a million rows).
    vocabulary : tuple of str
        Names of a category's values; of the bits of flags, from bit 0 on, empty where a bit has none.
    truth : bool
        Whether the column holds the ground truth of a simulation.
    low, high : str
        What little and much of a column mean ("bluer", "redder"); empty where they are to be guessed
        (`atlas.catalog.senses`).
    """

    name: Name
    file: str
    dtype: str
    kind: ColumnKind
    unit: str = ""
    ucd: str = ""
    description: str = ""
    missing: Count = 0
    quantiles: tuple[int | float, ...] = ()
    vocabulary: tuple[str, ...] = ()
    truth: bool = False
    low: str = ""
    high: str = ""


class Space(_Record, frozen=True, kw_only=True):
    """One embedding of the galaxies, with all that was derived from it.

    `parameters` are those of the build that it has otherwise than the manifest tells.
    """

    name: Name
    dimension: Annotated[int, msgspec.Meta(ge=1)]
    dtype: Literal["float16", "float32"]
    columns: tuple[Column, ...]
    n_clusters: Count = 0
    n_outliers: Count = 0
    parameters: dict[str, Any] = {}


class Segment(_Record, frozen=True, kw_only=True):
    """Rows [start, stop) that were added together."""

    start: Count
    stop: Count


class SkyBackground(_Record, frozen=True, kw_only=True):
    """A picture of the sky: north up, east left, gnomonic, centred at the position."""

    file: str
    ra_deg: float
    dec_deg: float
    width_deg: float
    height_deg: float
    credit: str = ""


class Thumbnails(_Record, frozen=True, kw_only=True):
    """The packed images.

    Attributes
    ----------
    pixels : int
        Edge of each image.
    scale_arcsec : float or None
        Arcseconds a pixel where all images share one scale.
    width_column : str
        Column of the width of each image in arcsec, where each has its own.
    up_deg : float or None
        Position angle of their upper edge, degrees from north to east; None where nobody said which way is north.
    present : int
        Number of rows that have an image.
    """

    pixels: Annotated[int, msgspec.Meta(ge=1)]
    present: Count
    scale_arcsec: float | None = None
    width_column: str = ""
    up_deg: float | None = None


class Provenance(_Record, frozen=True, kw_only=True):
    """Provenance of the galaxies; `bibtex` is what publications are to cite."""

    survey: str = ""
    release: str = ""
    licence: str = ""
    acknowledgement: str = ""
    bibtex: str = ""
    notes: tuple[str, ...] = ()


class RandomPick(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rule for drawing a random galaxy from a survey whose rows begin with the brightest.

    Its rank in brightness is log-normal, which shows bright galaxies far more often than their share; the very first
    ranks are skipped, where errors of observation crowd.

    Attributes
    ----------
    mean, sigma : float
        Of the natural logarithm of the rank.
    skip : int
        So many of the brightest are never drawn.
    """

    mean: Annotated[float, msgspec.Meta(ge=0, le=25)] = 10.0
    sigma: Annotated[float, msgspec.Meta(gt=0, le=20)] = 2.0
    skip: Count = 2_500


class StageRecord(_Record, frozen=True, kw_only=True):
    """Record of a stage of the build.

    Attributes
    ----------
    key : str
        Hash of the stage's inputs, parameters and version: equal keys mean equal outputs.
    seconds, cpu_seconds, peak_mib : float
        Wall time, time of all cores, and the highest resident memory of the process by its end.
    measured : dict
        What the stage reports.
    """

    name: str
    key: str
    seconds: float
    peak_mib: float
    cpu_seconds: float = 0.0
    measured: dict[str, Any] = {}


class File(_Record, frozen=True, kw_only=True):
    """Size in bytes and SHA-256 of one file.

    `ends` is the SHA-256 of its first and last 4,096 bytes, where headers and footers are, which opening can afford to
    read; empty in builds made before it was kept.
    """

    size: Count
    sha256: str
    ends: str = ""


class Manifest(_Record, frozen=True, kw_only=True):
    """Everything that a reader needs before it opens an array.

    `key_columns` are those that say most of a galaxy, as its source names them; empty where they are to be guessed
    (`atlas.catalog.key_columns`). Without `random_pick`, a random galaxy is any. `invariance` is the median similarity
    of galaxies to themselves, by what their images were altered by, and to "another", as their source measured it.
    `seen_arcsec` is how much sky the encoder saw of each, from side to side, where that is known.
    """

    format_version: int
    build_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{12}$")]
    created: str
    name: str
    title: str
    n_rows: Annotated[int, msgspec.Meta(ge=1, le=2**32 - 1)]
    segments: tuple[Segment, ...]
    id_columns: tuple[Name, ...]
    key_columns: tuple[Name, ...] = ()
    columns: tuple[Column, ...]
    spaces: tuple[Space, ...]
    provenance: Provenance
    sky_background: SkyBackground | None = None
    random_pick: RandomPick | None = None
    invariance: dict[str, float] = {}
    thumbnails: Thumbnails | None = None
    seen_arcsec: float | None = None
    parameters: dict[str, Any] = {}
    stages: tuple[StageRecord, ...] = ()
    files: dict[str, File] = {}

    def space(self, name: str) -> Space:
        """The space of that name.

        Raises
        ------
        FormatError
            If the build has no such space.
        """
        for space in self.spaces:
            if space.name == name:
                return space
        raise FormatError(f"no space {shorten(name)!r}; this atlas has {', '.join(s.name for s in self.spaces)}")


def read_manifest(build: Path) -> Manifest:
    """Read and check the manifest of a build.

    Raises
    ------
    FormatError
        If it is missing, not JSON, of another format version, or not of the documented form.
    """
    path = build / layout.MANIFEST
    try:
        data = path.read_bytes()
    except FileNotFoundError as e:
        raise FormatError(f"{path} is missing: the build was never finished, or this is not an atlas") from e
    except OSError as e:
        raise FormatError(f"{path} cannot be read: {e.strerror}") from e
    try:
        version = msgspec.json.decode(data, type=_Version).format_version
        if version != layout.FORMAT_VERSION:
            raise FormatError(
                f"{path}: format version {version}, this program reads version {layout.FORMAT_VERSION}; build it again"
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as e:
        raise FormatError(f"{path} is not a manifest: {shorten(e, 200)}") from e
    _check(manifest, path)
    return manifest


def write_manifest(build: Path, manifest: Manifest) -> None:
    """Write the manifest; from here on the build exists."""
    _check(manifest, build / layout.MANIFEST)
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    layout.write_atomically(build / layout.MANIFEST, data + b"\n")


class _Version(msgspec.Struct):
    format_version: int


def _check(manifest: Manifest, path: Path) -> None:
    """Check what types cannot say."""
    stop = 0
    for segment in manifest.segments:
        if segment.start != stop or segment.stop <= segment.start:
            raise FormatError(f"{path}: segments leave a gap or overlap at row {stop}")
        stop = segment.stop
    if stop != manifest.n_rows:
        raise FormatError(f"{path}: segments end at row {stop}, the atlas has {manifest.n_rows}")
    names = {c.name for c in manifest.columns}
    images = manifest.thumbnails
    width = (images.width_column,) if images is not None and images.width_column else ()
    for needed in (layout.RA, layout.DEC, *manifest.id_columns, *manifest.key_columns, *width):
        if needed not in names:
            raise FormatError(f"{path}: column {needed!r} is missing")
    if not manifest.spaces:
        raise FormatError(f"{path}: no embedding space")
    for file in manifest.files:
        if Path(file).is_absolute() or ".." in Path(file).parts:
            raise FormatError(f"{path}: file {shorten(file)!r} lies outside the build")
