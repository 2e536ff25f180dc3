"""Commands that change an atlas which exists: `update` and `remove`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from atlas.errors import shorten

from .errors import SourceError

Commands = Any  # argparse does not name the class of its subparsers


def add_update(commands: Commands) -> None:
    """Add the command `update` to a parser."""
    update = commands.add_parser("update", help="add columns to an atlas, or replace them, by id")
    update.add_argument("atlas", type=Path, metavar="DIR", help="folder of the atlas")
    update.add_argument(
        "--catalog",
        type=Path,
        required=True,
        help="catalogue of the columns, in any format that `build` reads: a file, a folder that holds one, or HATS",
    )
    update.add_argument("--columns", help="columns to take, joined by commas (all but ids and positions)")
    update.add_argument("--skip-columns", help="columns to leave, joined by commas (none)")
    update.add_argument(
        "--id",
        help="columns of the catalogue that name a galaxy, in the order of the atlas's (those of the same names)",
    )
    update.add_argument("--hdu", help="number or name of the table in a FITS file or VOTable of several (found)")
    update.add_argument(
        "--others",
        choices=("keep", "missing"),
        help="value of a replaced column in galaxies that the catalogue lacks: the one before, or none (asked for)",
    )
    update.set_defaults(run=_update)


def add_remove(
    commands: Commands, machine: Callable[[argparse.Namespace], Mapping[str, Any]]
) -> argparse.ArgumentParser:
    """Add the command `remove` to a parser; `machine` reads threads and memory of what was given."""
    remove: argparse.ArgumentParser = commands.add_parser("remove", help="take galaxies out of an atlas")
    remove.add_argument("atlas", type=Path, metavar="DIR", help="folder of the atlas")
    remove.add_argument(
        "--ids",
        type=Path,
        metavar="FILE",
        help="galaxies to remove: a catalogue with their ids, or a text of one id a line",
    )
    remove.add_argument(
        "--where", metavar="CONDITION", help="remove those for which it holds, as the page reads it: 'snr < 3'"
    )
    remove.add_argument(
        "--id", help="columns of FILE that name a galaxy, in the order of the atlas's (those of the same names)"
    )
    remove.add_argument("--hdu", help="number or name of the table in a FITS file or VOTable of several (found)")
    remove.set_defaults(run=lambda args: _remove(args, machine(args)))
    return remove


def add_space_embeddings(append: argparse.ArgumentParser) -> None:
    """Add the options of `append` by which galaxies get an embedding in each further space of an atlas."""
    append.add_argument(
        "--space-embeddings",
        action="append",
        metavar="SPACE=FILE",
        help="their embeddings in a further space of the atlas, as `add-space` takes them; once for each",
    )
    append.add_argument(
        "--space-embeddings-id",
        dest="space_ids",
        action="append",
        metavar="SPACE=COLUMNS",
        help="column or columns of that file that name a galaxy (found)",
    )


def by_space(told: Sequence[str] | None, option: str) -> dict[str, str]:
    """Values of an option that is given once for each space, by the name of the space.

    Raises
    ------
    SourceError
        If one is not of that form, or of a space that had one.
    """
    found: dict[str, str] = {}
    for one in told or ():
        name, _, value = one.partition("=")
        if not name or not value or name in found:
            raise SourceError(f"{option} {shorten(one)!r}: once for each space, SPACE=…, is allowed")
        found[name] = value
    return found


def split_names(told: str | None) -> tuple[str, ...]:
    """Names of columns that an option gives, joined by commas."""
    return tuple(name for name in told.split(",") if name) if told else ()


def _update(args: argparse.Namespace) -> int:
    from atlas.storage.validate import open_current

    from .build.update import update
    from .sources.further_columns import open_further

    manifest = open_current(args.atlas)[1]
    further = open_further(
        args.catalog,
        manifest.columns,
        manifest.id_columns,
        table=args.hdu or "",
        id_columns=split_names(args.id),
        wanted=split_names(args.columns),
        skipped=split_names(args.skip_columns),
    )
    update(further, args.atlas, others=args.others or "", quiet=args.quiet)
    return 0


def _remove(args: argparse.Namespace, machine: Mapping[str, Any]) -> int:
    from atlas.atlas import Atlas

    from .build.remove import remove
    from .sources.id_list import rows_of_ids

    if (args.ids is None) == (args.where is None):
        raise SourceError("either --ids FILE or --where CONDITION says which galaxies are removed")
    atlas = Atlas.open(args.atlas)
    rows: NDArray[Any]
    if args.ids is None:
        rows, why = atlas.mask(args.where).rows, args.where
    else:
        rows, unknown = rows_of_ids(args.ids, atlas, table=args.hdu or "", id_columns=split_names(args.id))
        why = f"listed in {args.ids.name}"
        if unknown:
            print(f"note: {len(unknown):,} ids are not in the atlas, such as {shorten(unknown[0])}", file=sys.stderr)
    remove(args.atlas, rows, why, quiet=args.quiet, **machine)
    return 0
