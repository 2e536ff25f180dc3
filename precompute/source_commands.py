"""Commands that make what `build` reads, or help to: `simulate`, `embed` and `train`."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path

from atlas.errors import InputError

from .change_commands import Commands
from .errors import UsageError

PICTURES_HELP = "folder of PNG, JPEG or FITS pictures, one a galaxy, or of HDF5 chunks as ssl-legacysurvey has them"
IMAGE_OPTIONS = ("pixels", "chunk_rows", "threads")


def add_source_commands(commands: Commands) -> None:
    """Add the commands to a parser."""
    _add_simulate(commands)
    _add_embed(commands)
    _add_train(commands)


def _add_simulate(commands: Commands) -> None:
    simulate = commands.add_parser("simulate", help="write a simulated survey that `build` reads")
    simulate.add_argument("n", type=int, metavar="N", help="number of galaxies")
    simulate.add_argument("--out", type=Path, required=True, help="folder to write")
    simulate.add_argument("--seed", type=int, default=1, help="seed of every random choice (1)")
    simulate.add_argument("--dimension", type=int, help="numbers an embedding (128; 32 with --images)")
    simulate.add_argument(
        "--first-row", type=int, help="begin with this row of a longer survey: what `append` adds (0)"
    )
    simulate.add_argument("--images", action="store_true", help="render galaxies, in the layout of ssl-legacysurvey")
    simulate.add_argument("--pixels", type=int, help="with --images: edge of an image (96)")
    simulate.add_argument(
        "--chunk-rows", type=int, help="with --images: rows a file (10,000; 1,000,000 beyond 100,000)"
    )
    simulate.add_argument("--threads", type=int, help="with --images: workers (every core)")
    simulate.set_defaults(run=_simulate)


def _add_embed(commands: Commands) -> None:
    embed = commands.add_parser("embed", help="make embeddings of a folder of pictures: a source that `build` reads")
    embed.add_argument("images", type=Path, metavar="IMAGES", help=PICTURES_HELP)
    embed.add_argument("--out", type=Path, required=True, help="folder of the source to write")
    embed.add_argument(
        "--catalog", type=Path, help="table with positions; pictures are found by a column of names, by row or by id"
    )
    embed.add_argument("--id", help="column or columns of --catalog, joined by commas, that together name a galaxy")
    embed.add_argument(
        "--model", type=Path, help="an encoder, ONNX or of `train`, with a JSON beside it (the descriptor)"
    )
    embed.add_argument("--dimension", type=int, help="numbers that the descriptor gives a galaxy (32)")
    embed.add_argument("--crop", type=int, default=0, help="central pixels of each picture that are used (all)")
    embed.add_argument("--pixels", type=int, default=0, help="edge to which pictures are scaled (that of most)")
    embed.add_argument("--threads", type=int, default=0, help="threads; 0 for every core (0)")
    embed.set_defaults(run=_embed)


def _add_train(commands: Commands) -> None:
    train = commands.add_parser("train", help="train an encoder on a folder of pictures, without labels")
    train.add_argument("images", type=Path, metavar="IMAGES", help=PICTURES_HELP)
    train.add_argument("--out", type=Path, required=True, help="file of weights to write, of the ending .safetensors")
    train.add_argument("--network", default="small", help="small, resnet18 or resnet50 (small)")
    train.add_argument("--pixels", type=int, default=64, help="edge of what the network sees (64)")
    train.add_argument("--crop", type=int, default=0, help="central pixels of each picture that are used (all)")
    train.add_argument("--epochs", type=int, default=20, help="how often each picture is seen (20)")
    train.add_argument("--batch", type=int, default=128, help="pictures a step (128)")
    train.add_argument("--seed", type=int, default=1, help="seed of every random choice (1)")
    train.add_argument("--threads", type=int, default=0, help="threads that read; 0 for every core (0)")
    train.set_defaults(run=_train)


def _simulate(args: argparse.Namespace) -> int:
    given = {"seed": args.seed, "quiet": args.quiet, "first_row": args.first_row or 0}
    if args.dimension is not None:
        given["dimension"] = args.dimension
    of_images = {name: getattr(args, name) for name in IMAGE_OPTIONS if getattr(args, name) is not None}
    if args.images:
        from .simulation.image_survey import simulate_images

        simulate_images(args.n, args.out, **given, **of_images)
        return 0
    if of_images:
        raise UsageError(f"--{next(iter(of_images)).replace('_', '-')} says something only with --images")

    from .simulation.catalog_survey import simulate_survey

    simulate_survey(args.n, args.out, **given)
    return 0


def _embed(args: argparse.Namespace) -> int:
    from .embedding.embed import embed, tell_embedded
    from .embedding.encoder import DescriptorEncoder, Encoder
    from .embedding.picture_set import find_pictures, pictures_of_catalog

    if args.model is not None and args.dimension is not None:
        raise UsageError("--dimension is the descriptor's; a model has its own")
    if args.catalog is None and args.id:
        raise UsageError("--id names columns of --catalog")
    _require_sizes(args)
    encoder: Encoder
    if args.model is None:
        encoder = DescriptorEncoder() if args.dimension is None else DescriptorEncoder(args.dimension)
    else:
        from .embedding.models import open_encoder

        encoder = open_encoder(args.model)
        if args.pixels not in (0, encoder.pixels):
            raise UsageError(f"--pixels is {args.pixels}, but {args.model.name} takes {encoder.pixels}")
    found = (
        find_pictures(args.images)
        if args.catalog is None
        else pictures_of_catalog(args.images, args.catalog, tuple(args.id.split(",")) if args.id else ())
    )
    result = embed(found, args.out, encoder, pixels=args.pixels, crop=args.crop, threads=args.threads, quiet=args.quiet)
    tell_embedded(result, args.out)
    return 0


def _train(args: argparse.Namespace) -> int:
    from .embedding.picture_set import find_pictures

    try:
        from .training.train import TrainRecipe, train
    except ImportError as e:
        raise InputError("train needs JAX, optax and safetensors: pip install 'galaxy-finder[train]'") from e
    _require_sizes(args, open_too=("crop",))
    names = ("network", "pixels", "crop", "epochs", "batch", "seed")
    recipe = TrainRecipe(**{name: getattr(args, name) for name in names})
    made = train(find_pictures(args.images), args.out, recipe, threads=args.threads, quiet=args.quiet)
    print(
        f"{made.steps:,} steps: {made.retrieval:.0%} of the held-out pictures, drawn anew, find themselves first "
        f"({made.untrained:.0%} before training); `embed --model {args.out}` takes it"
    )
    return 0


def _require_sizes(args: argparse.Namespace, open_too: Collection[str] = ("pixels", "crop")) -> None:
    """Refuse sizes of pictures beyond what encoders see; 0 leaves those of `open_too` open."""
    from .embedding.encoder import MAX_PIXELS, MIN_PIXELS

    for name in ("pixels", "crop"):
        value = getattr(args, name)
        if not MIN_PIXELS <= value <= MAX_PIXELS and (value or name not in open_too):
            or_open = ", or 0 to leave it open" if name in open_too else ""
            raise UsageError(f"--{name} is {value}: allowed is {MIN_PIXELS} to {MAX_PIXELS}{or_open}")
