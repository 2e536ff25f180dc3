"""Lists of galaxies of an atlas, by their ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.build import OpenBuild

from ..errors import SourceError
from .catalog_files import catalog_ending
from .further_columns import open_further


def rows_of_ids(
    path: Path, atlas: OpenBuild, *, table: str = "", id_columns: tuple[str, ...] = ()
) -> tuple[NDArray[np.int64], list[str]]:
    """Rows of the galaxies that a file names, and its ids that the atlas does not have.

    Parameters
    ----------
    path : Path
        A catalogue with columns of ids, or a text of one id a line, as the page writes them.
    atlas : OpenBuild
    table, id_columns
        Of a catalogue, as `open_further` takes them.

    Raises
    ------
    SourceError
        If it cannot be read, or names no galaxy of the atlas.
    """
    if path.is_dir() or catalog_ending(path) is not None:
        manifest = atlas.manifest
        further = open_further(
            path, manifest.columns, manifest.id_columns, table=table, id_columns=id_columns, ids_alone=True
        )
        rows = further.rows_of(atlas.identity, atlas.columns(), atlas.n_rows)
        return np.flatnonzero(rows.of_galaxy >= 0), further.names(rows.unknown)
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist") from None
    except UnicodeDecodeError as e:
        raise SourceError(f"{path} is neither a catalogue nor a text of ids") from e
    found = atlas.identity.rows(names)
    if not (found >= 0).any():
        raise SourceError(f"{path} names no galaxy of the atlas; an id there is such as {atlas.identity.name(0)}")
    return found[found >= 0], [name for name, row in zip(names, found, strict=True) if row < 0]
