"""`source.json`: what the files of a source mean. Optional for one's own survey, written by `demo` and `simulate`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import msgspec

from atlas.errors import shorten
from atlas.storage.manifest import RandomPick

from .errors import SourceError

FILENAME = "source.json"
EMBEDDINGS = "embeddings.npy"
IMAGES = "images"
# A folder inside a source that a command of ours is still writing; a source that holds one is not complete.
PARTIAL = ".partial"
# What is being made there, so that another recipe does not go on with it.
RECIPE = "recipe.json"


class ColumnDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Description of one catalogue column.

    Attributes
    ----------
    unit : str
        In astropy's notation ("deg", "mag", "arcsec"), empty for a pure number.
    ucd : str
        IVOA unified content descriptor, empty when unknown.
    description : str
        One sentence.
    missing : float or None
        The value that stands for "missing" (-99, say); read as NaN.
    flags : bool
        Each bit of the integers is a flag of its own.
    bits : tuple of str
        Names of those bits, from bit 0 on; empty where a bit has none.
    low, high : str
        What a galaxy is that has little or much of it, as comparatives ("bluer", "redder"); guessed where not told.
    """

    unit: str = ""
    ucd: str = ""
    description: str = ""
    missing: float | None = None
    flags: bool = False
    bits: tuple[str, ...] = ()
    low: str = ""
    high: str = ""


class BackgroundDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A picture of the sky: north up, east left, gnomonic (TAN), centred at `ra_deg`, `dec_deg`."""

    file: str
    ra_deg: float
    dec_deg: float
    width_deg: float
    height_deg: float
    credit: str = ""


class SourceDescription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole description; every field has a default, so that a source without one can be read.

    `key_columns` are those that say most of a galaxy (a magnitude, a redshift), in the order in which they are told.
    `acknowledgement` and `bibtex` are what publications are to say and cite; pages and downloads hold them.
    `random_pick` is for a survey whose rows begin with the brightest: Random then favours those.
    `table` is the number or name of the table in a FITS file or VOTable of several. `image_scale_arcsec` is that of
    the source's own images, before they are made thumbnails; where each has a width of its own, `image_width_column`
    names the column of it, in arcsec. `image_up_deg` is the position angle of their upper edge, degrees from north to
    east: 0 where north is up, and east to the left. `seen_arcsec` is how much sky the encoder saw, from side to side.
    `invariance` is what `descriptor.alterations` measured of it.
    """

    name: str = ""
    title: str = ""
    survey: str = ""
    release: str = ""
    licence: str = ""
    acknowledgement: str = ""
    bibtex: str = ""
    notes: tuple[str, ...] = ()
    table: str = ""
    ra: str = ""
    dec: str = ""
    id_columns: tuple[str, ...] = ()
    key_columns: tuple[str, ...] = ()
    image_column: str = ""
    embedding_column: str = ""
    image_scale_arcsec: Annotated[float, msgspec.Meta(gt=0)] | None = None
    image_width_column: str = ""
    image_up_deg: Annotated[float, msgspec.Meta(ge=-360, le=360)] | None = None
    seen_arcsec: Annotated[float, msgspec.Meta(gt=0)] | None = None
    sky_background: BackgroundDescription | None = None
    random_pick: RandomPick | None = None
    invariance: dict[str, float] = {}
    columns: dict[str, ColumnDescription] = {}
    ground_truth: tuple[str, ...] = ()


def read_description(folder: Path) -> SourceDescription:
    """Read `source.json` of a folder, or the defaults where there is none.

    Raises
    ------
    SourceError
        If the file is not of the documented form.
    """
    path = folder / FILENAME
    if not path.exists():
        return SourceDescription()
    try:
        return msgspec.json.decode(path.read_bytes(), type=SourceDescription)
    except msgspec.DecodeError as e:
        raise SourceError(f"{path}: not a source description: {shorten(e, 200)}") from e


def write_description(folder: Path, description: SourceDescription) -> None:
    """Write `source.json` into a folder."""
    data = msgspec.json.format(msgspec.json.encode(description), indent=2)
    (folder / FILENAME).write_bytes(data + b"\n")


def begin_partial(folder: Path, recipe: msgspec.Struct) -> Path:
    """The folder of unfinished files of a source, with those of an earlier run of the same recipe and no other's."""
    partial = folder / PARTIAL
    told = partial / RECIPE
    if not told.exists() or told.read_bytes() != msgspec.json.encode(recipe):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        told.write_bytes(msgspec.json.encode(recipe))
    return partial
