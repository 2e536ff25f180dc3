"""`python -m precompute COMMAND`: makes atlases and looks after them; `--help` lists the commands.

Parses, calls, prints; logic lives elsewhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from tqdm import tqdm

from atlas.errors import AtlasError, shorten
from atlas.storage.validate import total_bytes, validate

from .build.info import describe_atlas
from .change_commands import add_remove, add_space_embeddings, add_update, by_space, split_names
from .config import BuildConfig, parameter_help
from .errors import UsageError
from .source_commands import add_source_commands

if TYPE_CHECKING:
    from .sources.source import Source

DEMO_OUT = Path("data/xdf")
MACHINE = ("threads", "memory_gib")
OF_A_SPACE = tuple(
    name for name in BuildConfig.__struct_fields__ if name not in ("space", "thumbnails", "thumbnail_pixels")
)
EMBEDDINGS_HELP = ".npy file, folder of numbered ones, list column of Parquet files, or a table or HDF5 with ids"
EMBEDDINGS_ID_HELP = "column or columns of that table that name a galaxy (found)"
SCHEDULER_HELP = "tcp://… of a Dask scheduler, whose workers do the passes over rows; they share the file system (none)"


def main(argv: list[str] | None = None, prog: str = "python -m precompute") -> int:
    """Run one command; returns the exit status."""
    args = _parser(prog).parse_args(argv)
    try:
        status: int = args.run(args)
    except AtlasError as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except OSError as e:
        print(f"error: {e.strerror or e}: {e.filename or ''}", file=sys.stderr)
        return 1
    return status


def _demo(args: argparse.Namespace) -> int:
    from .build.pipeline import build
    from .deep_field.source import is_written, write_deep_field
    from .sources.source import open_source

    folder = args.out.with_name(f"{args.out.name}-source")
    if not is_written(folder):
        write_deep_field(folder, quiet=args.quiet)
    # A thousand galaxies: finer structure than a survey's, every row an anchor of the map.
    config = msgspec.structs.replace(_config(args), n_neighbors=args.n_neighbors or 12)
    build(open_source(folder), args.out, config, quiet=args.quiet)
    return 0


def _plan(args: argparse.Namespace) -> int:
    from .build.estimate import calibrate, check_fits, describe_estimate, estimate_sizes
    from .build.pipeline import estimate_source
    from .sources.bad_rows import find_bad_rows

    config = _config(args)
    if (args.source is None) == (args.rows is None):
        raise UsageError("plan takes a SOURCE, or --rows of one that is not there yet")
    if args.rows is not None:
        for name, (least, most) in {"rows": (16, 2**32 - 1), "dimensions": (2, 65_536)}.items():
            if not least <= (value := getattr(args, name)) <= most:
                raise UsageError(f"--{name} is {value:,.0f}: allowed is {least:,} to {most:,}")
        estimate = estimate_sizes(round(args.rows), args.dimensions, config, images=args.with_images, speed=calibrate())
        print(describe_estimate(estimate, config))
        return 0
    source = _open(args)
    if not args.drop_bad_rows and (bad := find_bad_rows(source)):
        row, reason = next(iter(bad.items()))
        print(f"a build would refuse {len(bad):,} rows, first {row} ({reason}): --drop-bad-rows leaves them out")
    estimate = estimate_source(source, config, speed=calibrate())
    print(describe_estimate(estimate, config))
    check_fits(estimate, args.out, config)
    print("disk and memory suffice")
    return 0


def _build(args: argparse.Namespace) -> int:
    from .build.pipeline import build

    build(
        _open(args),
        args.out,
        _config(args),
        force=args.force,
        scheduler=args.scheduler,
        verify=args.verify,
        quiet=args.quiet,
    )
    return 0


def _add_space(args: argparse.Namespace) -> int:
    from .build.add_space import add_space

    config = _config(args)
    given = {name: getattr(config, name) for name in OF_A_SPACE if getattr(args, name) is not None}
    ids = tuple(args.embeddings_id.split(",")) if args.embeddings_id else ()
    add_space(
        args.atlas, config.space, args.embeddings, ids=ids, parameters=given, scheduler=args.scheduler, quiet=args.quiet
    )
    return 0


def _append(args: argparse.Namespace) -> int:
    from .build.append import append

    spaces = by_space(args.space_embeddings, "--space-embeddings")
    ids = {name: split_names(told) for name, told in by_space(args.space_ids, "--space-embeddings-id").items()}
    append(_open(args), args.out, spaces=spaces, space_ids=ids, quiet=args.quiet, **_machine(args))
    return 0


def _compact(args: argparse.Namespace) -> int:
    from .build.compact import compact

    compact(args.atlas, quiet=args.quiet, **_machine(args))
    return 0


def _machine(args: argparse.Namespace) -> dict[str, Any]:
    """Threads and memory, checked like those of a build."""
    config = _config(args)
    return {"threads": config.threads, "memory_gib": config.memory_gib}


def _open(args: argparse.Namespace) -> Source:
    """The source that `plan` and `build` are told."""
    from .sources.bad_rows import find_bad_rows, write_list, write_unmatched
    from .sources.source import open_source

    source = open_source(
        args.source,
        table=args.hdu,
        ra=args.ra,
        dec=args.dec,
        id_columns=tuple(args.id.split(",")) if args.id else (),
        embeddings=args.embeddings,
        embedding_ids=tuple(args.embeddings_id.split(",")) if args.embeddings_id else (),
        images=args.images,
        only=split_names(args.columns),
        skipped=split_names(args.skip_columns),
    )
    joined = source.joined
    if joined is not None and args.run is not _plan and (joined.without_embedding or joined.without_galaxy):
        source.notes.append(f"what has no counterpart is listed in {write_unmatched(args.out, joined)}")
    if args.drop_bad_rows:
        left_out = find_bad_rows(source)
        by_row = {source.row_of_catalog(row): reason for row, reason in left_out.items()}
        source.leave_out(left_out)
        if left_out and args.run is not _plan:
            source.notes.append(f"the rows left out are listed in {write_list(args.out, by_row)}")
    for note in source.notes:
        print(f"note: {note}", file=sys.stderr)
    return source


def _info(args: argparse.Namespace) -> int:
    print(describe_atlas(args.atlas))
    return 0


def _validate(args: argparse.Namespace) -> int:
    with tqdm(
        total=total_bytes(args.atlas), unit="B", unit_scale=True, desc="validate", disable=args.quiet, leave=False
    ) as bar:
        faults = validate(args.atlas, bar.update)
    for fault in faults:
        print(f"fault: {fault}")
    print("every file is as it was written" if not faults else f"{len(faults)} faults")
    return 1 if faults else 0


def _fill(args: argparse.Namespace) -> int:
    from .search_servers.fill import fill_server

    if args.recall_queries < 1:
        raise UsageError(f"--recall-queries is {args.recall_queries}: allowed is 1 and more")
    served = fill_server(
        args.atlas, args.server, space=args.space, anew=args.anew, queries=args.recall_queries, quiet=args.quiet
    )
    print(f"{served.engine} holds {served.n_rows:,} galaxies in {served.name}, {served.leaves:,} lists")
    for kind in dict.fromkeys(one.kind for one in served.recall):
        best = max(
            (one for one in served.recall if one.kind == kind and one.k <= 100), key=lambda one: (one.k, one.mean)
        )
        print(f"  {kind:<14} finds {best.mean:.4f} of the best {best.k} in {best.median_ms:.1f} ms, at most")
    print(f"serve it with GALAXY_FINDER_SEARCH_URL={args.server}")
    return 0


def _config(args: argparse.Namespace) -> BuildConfig:
    """The parameters that were given, checked against their types and ranges."""
    given = {name: value for name in BuildConfig.__struct_fields__ if (value := getattr(args, name, None)) is not None}
    try:
        return msgspec.convert(given, BuildConfig)
    except msgspec.ValidationError as e:
        raise UsageError(shorten(e, 200)) from e


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Builds and looks after atlases.")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="build the atlas of the Hubble eXtreme Deep Field")
    demo.add_argument("--out", type=Path, default=DEMO_OUT, help=f"folder of the atlas ({DEMO_OUT})")
    demo.set_defaults(run=_demo)
    _add_parameters(demo)

    add_source_commands(commands)

    plan = commands.add_parser("plan", help="say what a build will take: time, memory, disk")
    plan.add_argument("--out", type=Path, default=Path(), help="folder of the atlas (.)")
    plan.add_argument("--rows", type=float, help="plan for so many galaxies without a source: 1e9")
    plan.add_argument("--dimensions", type=int, default=128, help="with --rows: numbers of an embedding (128)")
    plan.add_argument("--with-images", action="store_true", help="with --rows: every galaxy has an image in a file")
    plan.set_defaults(run=_plan)
    _add_source(plan, "?")
    _add_parameters(plan)

    build = commands.add_parser("build", help="build an atlas from a catalogue and its embeddings")
    build.add_argument("--out", type=Path, required=True, help="folder of the atlas")
    build.add_argument(
        "--force", action="store_true", help="build also where that drops what was appended, updated or removed since"
    )
    build.add_argument("--scheduler", default="", help=SCHEDULER_HELP)
    build.add_argument(
        "--verify",
        action="store_true",
        help="read every file once more before the build is put into use, as `validate`",
    )
    build.set_defaults(run=_build)
    _add_source(build)
    _add_parameters(build)

    space = commands.add_parser("add-space", help="add a second embedding of the same galaxies to an atlas")
    space.add_argument("atlas", type=Path, metavar="DIR", help="folder of the atlas")
    space.add_argument("space", metavar="NAME", help="name of the new space: v2, spectra …")
    space.add_argument("--embeddings", required=True, help=f"{EMBEDDINGS_HELP}; of an array, row by row as the atlas's")
    space.add_argument("--embeddings-id", help=EMBEDDINGS_ID_HELP)
    space.add_argument("--scheduler", default="", help=SCHEDULER_HELP)
    space.set_defaults(run=_add_space)
    _add_parameters(space, OF_A_SPACE)

    append = commands.add_parser("append", help="add the galaxies of a further source to an atlas")
    append.add_argument("--out", type=Path, required=True, help="folder of the atlas")
    add_space_embeddings(append)
    append.set_defaults(run=_append)
    _add_source(append)
    _add_parameters(append, MACHINE)

    add_update(commands)
    _add_parameters(add_remove(commands, _machine), MACHINE)

    compact = commands.add_parser("compact", help="make one segment of all that were appended")
    compact.add_argument("atlas", type=Path, metavar="DIR", help="folder of the atlas")
    compact.set_defaults(run=_compact)
    _add_parameters(compact, MACHINE)

    fill = commands.add_parser("fill", help="give the embeddings of an atlas to a search server, and measure it")
    fill.add_argument("atlas", type=Path, metavar="DIR", help="folder of the atlas")
    fill.add_argument("--server", required=True, help="http://… of a Milvus, postgresql://… of one with pgvector")
    fill.add_argument("--space", default="", help="embedding space (the first)")
    fill.add_argument("--anew", action="store_true", help="drop what the server has of this build first")
    fill.add_argument("--recall-queries", type=int, default=50, help="queries of each kind that are measured (50)")
    fill.set_defaults(run=_fill)

    info = commands.add_parser("info", help="what an atlas holds and how good it measured")
    info.add_argument("atlas", type=Path, metavar="DIR", help="folder of the atlas")
    info.set_defaults(run=_info)

    check = commands.add_parser("validate", help="read every file of an atlas and say what is wrong")
    check.add_argument("atlas", type=Path, metavar="DIR", help="folder of the atlas")
    check.set_defaults(run=_validate)
    return parser


def _add_source(parser: argparse.ArgumentParser, count: str | None = None) -> None:
    """A source, and what its files leave open; `count` is what `argparse` calls `nargs`."""
    told = "folder of the survey, or its catalogue file"
    parser.add_argument("source", type=Path, metavar="SOURCE", nargs=count, help=told)
    parser.add_argument("--hdu", help="number or name of the table in a FITS file or VOTable of several (found)")
    parser.add_argument("--ra", help="column of right ascension in degrees (found by name or UCD)")
    parser.add_argument("--dec", help="column of declination in degrees (found by name or UCD)")
    parser.add_argument("--id", help="column or columns, joined by commas, that together name a galaxy")
    parser.add_argument("--columns", help="columns to store beside positions and ids, joined by commas (all)")
    parser.add_argument("--skip-columns", help="columns to leave, joined by commas (none)")
    parser.add_argument("--embeddings", help=f"{EMBEDDINGS_HELP} (found)")
    parser.add_argument("--embeddings-id", help=EMBEDDINGS_ID_HELP)
    parser.add_argument(
        "--drop-bad-rows",
        action="store_true",
        help="leave rows without a possible position or an embedding out, and list them",
    )
    parser.add_argument("--images", type=Path, help="folder of one image a galaxy (images/, or those of the chunks)")


def _add_parameters(parser: argparse.ArgumentParser, names: Sequence[str] = BuildConfig.__struct_fields__) -> None:
    """One option for each field of `BuildConfig`, named and typed by it."""
    group = parser.add_argument_group("parameters of the build")
    for name in names:
        default = getattr(BuildConfig(), name)
        group.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=None, help=parameter_help(name))


if __name__ == "__main__":
    sys.exit(main())
