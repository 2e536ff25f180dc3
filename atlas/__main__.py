"""`python -m atlas`: replay, labels, export. Parses, calls and prints; logic lives elsewhere."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

from atlas import receipts
from atlas.atlas import Atlas
from atlas.errors import AtlasError, ResourceError
from atlas.labels.store import Labels
from atlas.training import Choices, export, import_labels, read_table


def main(argv: list[str] | None = None, prog: str = "python -m atlas") -> int:
    """Run one command; returns the exit status."""
    args = _parser(prog).parse_args(argv)
    try:
        status: int = args.run(args)
    except AtlasError as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 0
    return status


def _replay(args: argparse.Namespace) -> int:
    if args.receipt == "-":
        data = sys.stdin.buffer.read(receipts.MOST_BYTES + 1)
    else:
        data = receipts.find_receipt(args.receipt, args.receipts)
    receipt = receipts.read_receipt(data)
    atlas = receipts.open_for(args.atlas, receipt)
    answer = receipts.replay(atlas, receipt)
    for note in answer.notes:
        print(f"note: {note}", file=sys.stderr)
    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow(("row", "id", "ra", "dec", "score"))
    lines.writerows(receipts.table(atlas, answer.result))
    return 0


def _export(args: argparse.Namespace) -> int:
    choices = Choices(
        labels=tuple(args.label or ()),
        negatives=args.negatives,
        val=args.val,
        test=args.test,
        within_arcsec=args.within,
        similarity=args.similarity,
        seed=args.seed,
    )
    made = export(_labelled(args), args.folder, choices)
    counts = made.table["label"].value_counts()
    print(f"{len(made.table):,} galaxies in {args.folder}: " + ", ".join(f"{n:,} {name}" for name, n in counts.items()))
    for what, some in (("people differ about", made.disputed), ("not in this build:", made.gone)):
        if some:
            print(f"note: left out, {what} {len(some):,}: {', '.join(some[:5])}", file=sys.stderr)
    return 0


def _import(args: argparse.Namespace) -> int:
    found = import_labels(_labelled(args), read_table(args.table), args.who, radius_arcsec=args.radius)
    print(f"{found.fresh:,} labels kept, {found.known:,} were there before")
    if found.missing:
        print(f"note: not in this atlas, {len(found.missing):,}: {', '.join(found.missing[:5])}", file=sys.stderr)
    if args.unmatched is not None:
        _write_lines(args.unmatched, found.missing)
    return 0


def _save(args: argparse.Namespace) -> int:
    made = Atlas.open(args.atlas, labels=Labels(args.labels) if args.labels else None).save_hats(args.hats, args.within)
    print(f"{made.n_rows:,} galaxies in {args.hats}, {made.n_partitions:,} partitions")
    if made.left_out:
        print(f"note: left out, since HATS calls its folders so: {', '.join(made.left_out)}", file=sys.stderr)
    return 0


def _write_lines(path: Path, lines: list[str]) -> None:
    try:
        path.write_text("".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise ResourceError(f"{path.name} cannot be written: {error.strerror or error}") from error


def _labelled(args: argparse.Namespace) -> Atlas:
    return Atlas.open(args.atlas, labels=Labels(args.labels) if args.labels else None)


def _label_commands(commands: Any) -> None:
    labels = commands.add_parser("labels", help="write labels as a training set, or bring a table of them in")
    deeds = labels.add_subparsers(required=True, metavar="export | import")
    usual = Choices()
    out = deeds.add_parser("export", help="write CSV, Parquet, a folder of images a class, catalogues and a card")
    out.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder")
    out.add_argument("--label", action="append", metavar="LABEL", help="labels to take, each by an option; else all")
    out.add_argument(
        "--negatives",
        type=float,
        default=usual.negatives,
        metavar="N",
        help="unlabelled galaxies for each labelled one, as bright as these",
    )
    out.add_argument("--val", type=float, default=usual.val, metavar="SHARE", help=f"to validate with ({usual.val})")
    out.add_argument("--test", type=float, default=usual.test, metavar="SHARE", help=f"to test with ({usual.test})")
    out.add_argument(
        "--within",
        type=float,
        default=usual.within_arcsec,
        metavar="ARCSEC",
        help=f"galaxies so near stay on one side ({usual.within_arcsec:g})",
    )
    out.add_argument(
        "--similarity",
        type=float,
        default=usual.similarity,
        metavar="COSINE",
        help=f"galaxies so similar stay on one side ({usual.similarity:g})",
    )
    out.add_argument("--seed", type=int, default=usual.seed, metavar="SEED", help="of the split and the negatives")
    out.set_defaults(run=_export)
    bring = deeds.add_parser("import", help="keep the labels of a table: label, and id or ra and dec")
    bring.add_argument("table", type=Path, metavar="TABLE", help="CSV or Parquet")
    bring.add_argument(
        "--who", required=True, metavar="NAME", help="whose labels they are, where the table does not say"
    )
    bring.add_argument("--radius", type=float, default=1.0, metavar="ARCSEC", help="how near a galaxy must lie (1)")
    bring.add_argument("--unmatched", type=Path, metavar="FILE", help="where those that match no galaxy are listed")
    bring.set_defaults(run=_import)
    for one in (out, bring):
        one.add_argument("--atlas", type=Path, required=True, metavar="DIR", help="folder of the atlas")
        one.add_argument("--labels", metavar="PLACE", help="SQLite file or postgresql://…; else beside the atlas")


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Asks an atlas.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    replay = commands.add_parser("replay", help="print the galaxies of a receipt as CSV")
    replay.add_argument("receipt", metavar="RECEIPT", help="JSON file, - for standard input, or a hash (--receipts)")
    replay.add_argument("--atlas", type=Path, required=True, metavar="DIR", help="folder of the atlas")
    replay.add_argument("--receipts", type=Path, metavar="DIR", help="folder where a hash is looked up, as HASH.json")
    replay.set_defaults(run=_replay)
    _label_commands(commands)
    whole = commands.add_parser("export", help="write galaxies with their embeddings as a HATS catalogue")
    whole.add_argument("--atlas", type=Path, required=True, metavar="DIR", help="folder of the atlas")
    whole.add_argument("--hats", type=Path, required=True, metavar="FOLDER", help="a new folder for the catalogue")
    whole.add_argument("--within", metavar="CONDITION", help='which galaxies, such as "mag_r < 20"; else all')
    whole.add_argument("--labels", metavar="PLACE", help="SQLite file or postgresql://…; else beside the atlas")
    whole.set_defaults(run=_save)
    return parser


if __name__ == "__main__":
    sys.exit(main())
