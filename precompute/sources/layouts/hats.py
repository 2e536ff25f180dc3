"""The layout of HATS: Parquet partitions of the sky, each a HEALPix pixel of its own order (docs.lsdb.io).

    hats.properties or properties               names of the columns of position, number of rows
    partition_info.csv                          the partitions that there should be; optional
    dataset/Norder=3/Dir=0/Npix=17.parquet …    rows; or a folder `Npix=17` of several files
    collection.properties                       of a folder around it, which names the catalogue; optional

Rows go by partition in the order of the sky that the nested scheme gives, which is how `_healpix_29` sorts them. The
embeddings are a list column.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from atlas.errors import shorten

from ...errors import SourceError
from ...source_description import SourceDescription
from ..checks import raise_problems
from ..column_guesses import guess_embedding_column
from ..embeddings import Embeddings, ListEmbeddings
from ..merge_description import fill
from ..tables.arrow_table import open_parquet, widest_type
from ..tables.file_column import CatalogFile, FileColumn
from .base import Parts, folder_images

COLLECTION = "collection.properties"
PROPERTIES = ("hats.properties", "properties")
PARTITION_INFO = "partition_info.csv"
DATASET = "dataset"

# Columns of the partitioning, which say nothing about galaxies; an atlas has an index of the sky of its own.
INDEX_COLUMNS = frozenset(("_healpix_29", "_hipscat_index", "Norder", "Dir", "Npix"))
DEEPEST_ORDER = 29
TYPES = ("object", "source")

_PARTITION = re.compile(r"Norder=(\d+)/Dir=\d+/Npix=(\d+)(?:\.parquet|/[^/]+\.parquet)")


class Partition(msgspec.Struct, frozen=True, order=True):
    """A file of one HEALPix pixel; sorted by the first pixel of the deepest order in it."""

    start: int
    stop: int
    order: int
    pixel: int
    path: Path

    @property
    def name(self) -> str:
        """As HATS writes it."""
        return f"Norder={self.order}/Npix={self.pixel}"


class Hats:
    """Takes folders with a file of properties."""

    def matches(self, path: Path) -> bool:
        """See `Layout.matches`."""
        return path.is_dir() and any((path / name).is_file() for name in (COLLECTION, *PROPERTIES))

    def open(self, path: Path, told: SourceDescription, embeddings: str, images: Path | None) -> Parts:
        """See `Layout.open`."""
        root = _catalogue_of(path)
        properties = _read_properties(root)
        kind = properties.get("dataproduct_type", TYPES[0])
        if kind not in TYPES:
            raise SourceError(f"{root} is a HATS {shorten(kind)}; an atlas is built from an object catalogue")
        files, catalog, problems = _open_partitions(root)
        told_rows = properties.get("hats_nrows", "")
        if told_rows.isdecimal() and int(told_rows) != catalog.n_rows:
            problems.append(f"the properties say {int(told_rows):,} rows, the partitions hold {catalog.n_rows:,}")
        own = SourceDescription(
            name=properties.get("obs_collection", ""),
            title=properties.get("obs_title", ""),
            licence=properties.get("obs_copyright", ""),
            acknowledgement=properties.get("obs_ack", ""),
            ra=properties.get("hats_col_ra", ""),
            dec=properties.get("hats_col_dec", ""),
        )
        description = fill(told, own)
        opened, column = None, ""
        try:
            opened, column = _open_embeddings(root, files, catalog, embeddings or description.embedding_column)
        except SourceError as e:
            problems.append(str(e))
        pictures, image_column = folder_images(path, images, catalog, description)
        return Parts(
            path=root,
            catalog=catalog,
            embeddings=opened,
            images=pictures,
            description=description,
            embedding_columns=(column,),
            image_column=image_column,
            files=(*files, *(() if pictures is None else (pictures.folder,))),
            problems=problems,
            notes=list(catalog.notes),
        )


def open_catalogue(path: Path) -> tuple[Path, CatalogFile]:
    """Folder and rows of a HATS catalogue, whatever is in its columns.

    Raises
    ------
    SourceError
        With everything that is wrong with its partitions.
    """
    root = _catalogue_of(path)
    _, catalog, problems = _open_partitions(root)
    raise_problems(root, problems)
    return root, catalog


def _open_partitions(root: Path) -> tuple[list[Path], CatalogFile, list[str]]:
    partitions = find_partitions(root)
    if not partitions:
        raise SourceError(f"{root} holds no partitions: {DATASET}/Norder=…/Dir=…/Npix=….parquet are needed")
    problems = check_partitions(partitions, _listed_pixels(root))
    return *_open_catalog(partitions, problems), problems


def find_partitions(root: Path) -> list[Partition]:
    """The files of all partitions, in the order of the sky."""
    base = root / DATASET if (root / DATASET).is_dir() else root
    partitions = []
    for pattern in ("Norder=*/Dir=*/Npix=*.parquet", "Norder=*/Dir=*/Npix=*/*.parquet"):
        for path in base.glob(pattern):
            if match := _PARTITION.fullmatch(path.relative_to(base).as_posix()):
                order, pixel = int(match[1]), int(match[2])
                # Each order splits a pixel in four.
                width = 4 ** max(0, DEEPEST_ORDER - order)
                partitions.append(Partition(pixel * width, (pixel + 1) * width, order, pixel, path))
    return sorted(partitions)


def check_partitions(partitions: list[Partition], listed: set[tuple[int, int]] | None) -> list[str]:
    """Pixels that do not exist, are missing, are not listed, or share a part of the sky.

    Parameters
    ----------
    partitions : list of Partition
        In the order of the sky.
    listed : set of (order, pixel) or None
        The partitions that there should be, where that is known.
    """
    present = {(p.order, p.pixel): p for p in partitions}
    problems = [
        f"partition {p.name} is no pixel of the sky"
        for p in present.values()
        if p.order > DEEPEST_ORDER or p.pixel >= 12 * 4**p.order
    ]
    if listed is not None:
        missing, extra = sorted(listed - set(present)), sorted(set(present) - listed)
        problems += [
            f"partition Norder={order}/Npix={pixel} is listed in {PARTITION_INFO} and missing"
            for order, pixel in missing
        ]
        problems += [f"partition {present[pixel].name} is not listed in {PARTITION_INFO}" for pixel in extra]
    last = partitions[0]
    for p in partitions[1:]:
        if p.start < last.stop and p.name != last.name:
            problems.append(f"partitions {last.name} and {p.name} cover the same part of the sky")
        if p.stop > last.stop:
            last = p
    return problems


def _catalogue_of(path: Path) -> Path:
    """The folder itself, or the main catalogue of a collection."""
    if not (path / COLLECTION).is_file():
        return path
    name = _parse_properties(path / COLLECTION).get("hats_primary_table_url", "")
    root = path / name
    if not name or not any((root / known).is_file() for known in PROPERTIES):
        raise SourceError(f"{path / COLLECTION} names {shorten(name)!r} as its catalogue, which is not there")
    return root


def _read_properties(root: Path) -> dict[str, str]:
    return _parse_properties(next(root / name for name in PROPERTIES if (root / name).is_file()))


def _parse_properties(path: Path) -> dict[str, str]:
    """Java's properties, as HiPS and HATS use them: `key=value` lines, comments, escapes by a backslash."""
    properties = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.lstrip().startswith(("#", "!")):
            properties[key.strip()] = re.sub(r"\\(.)", r"\1", value.strip())
    return properties


def _listed_pixels(root: Path) -> set[tuple[int, int]] | None:
    path = root / PARTITION_INFO
    if not path.is_file():
        return None
    try:
        with path.open(newline="") as f:
            return {(int(line["Norder"]), int(line["Npix"])) for line in csv.DictReader(f)}
    except (KeyError, TypeError, ValueError) as e:
        raise SourceError(f"{path} is no list of partitions with columns Norder and Npix: {shorten(e)}") from e


def _open_catalog(partitions: list[Partition], problems: list[str]) -> tuple[list[Path], CatalogFile]:
    """The files that can be read, as one catalogue; adds problems of those that cannot or that differ."""
    files: list[Path] = []
    schemas: dict[str, pa.Schema] = {}
    n_rows = 0
    for p in partitions:
        try:
            file = pq.ParquetFile(p.path)
        except (OSError, pa.ArrowException) as e:
            problems.append(f"{p.path} cannot be read as Parquet: {shorten(e, 200)}")
            continue
        files.append(p.path)
        schemas[f"{p.name} ({p.path.name})" if p.name in schemas else p.name] = file.schema_arrow
        n_rows += file.metadata.num_rows
        first = next(iter(schemas.values()))
        if lacking := [name for name in first.names if name not in file.schema_arrow.names]:
            problems.append(f"{p.name}: no column {', '.join(lacking)}, which the first partition has")
    if not schemas:
        raise SourceError("; ".join(problems))
    whole = _widened(schemas, problems)
    index = [field.name for field in whole if field.name in INDEX_COLUMNS]
    schema = pa.schema([field for field in whole if field.name not in index], metadata=whole.metadata)
    catalog = open_parquet(files, schema, n_rows)
    if index:
        catalog.notes += (f"columns of the partitioning are left out: {', '.join(index)}",)
    return files, catalog


def _widened(schemas: dict[str, pa.Schema], problems: list[str]) -> pa.Schema:
    """The columns of the first partition, each in a type that holds what all have; adds problems of those of none."""
    first = next(iter(schemas.values()))
    fields = []
    for field in first:
        types: dict[pa.DataType, str] = {}
        for name, of in schemas.items():
            if field.name in of.names:
                types.setdefault(of.field(field.name).type, name)
        widest = widest_type(list(types))
        if widest is None:
            where = ", ".join(f"{kind} in {name}" for kind, name in types.items())
            problems.append(f"column {field.name!r} is {where}: no type holds the values of all as they are")
        fields.append(field if widest is None else field.with_type(widest))
    return pa.schema(fields, metadata=first.metadata)


def _open_embeddings(root: Path, files: list[Path], catalog: CatalogFile, wanted: str) -> tuple[Embeddings, str]:
    wanted = wanted or guess_embedding_column(catalog.columns)
    if not wanted:
        raise SourceError("no embeddings: no list column of floats in the partitions; name the column (--embeddings)")
    column: FileColumn | None = next((column for column in catalog.columns if column.name == wanted), None)
    if column is None or column.kind not in ("list", "vector"):
        what = "is no column" if column is None else f"({column.type_name}) is no list column"
        raise SourceError(f"embeddings {shorten(wanted)!r}: {what} of the partitions")
    return ListEmbeddings(root, wanted, files), wanted


LAYOUT = Hats()
