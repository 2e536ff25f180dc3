"""`python -m atlas`: replay. Parses, calls and prints; logic lives elsewhere."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from atlas import receipts
from atlas.errors import AtlasError


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


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Asks an atlas.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    replay = commands.add_parser("replay", help="print the galaxies of a receipt as CSV")
    replay.add_argument("receipt", metavar="RECEIPT", help="JSON file, - for standard input, or a hash (--receipts)")
    replay.add_argument("--atlas", type=Path, required=True, metavar="DIR", help="folder of the atlas")
    replay.add_argument("--receipts", type=Path, metavar="DIR", help="folder where a hash is looked up, as HASH.json")
    replay.set_defaults(run=_replay)
    return parser


if __name__ == "__main__":
    sys.exit(main())
