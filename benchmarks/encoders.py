"""Encoders side by side on galaxies of known truth: `python -m benchmarks.encoders [--seeds N] [--model FILE …]`.

For every seed a survey is rendered and embedded by the demo's descriptor, by the same without artefacts, by a PCA of
its pixels, and by each network that is named; beside one that `train` made stands what it was before its first step. A
network sees what an eye does, the middle of each image as RGB. With `--train FILE` a network is trained first, as
`train` does, on pictures of a survey of its own, and kept as FILE, so that it is named the next time.
Measured by the cosine of the embeddings:

- the share of its class among the ten nearest of a galaxy, by class; chance is the share of the class
- how many of the first 100 by distance to the ten nearest are of a rare class
- minutes of processor time for a hundred thousand pictures, once they are read, and megabytes of their embeddings

With `--together N` the surveys are looked at as one: the ten nearest of a galaxy are those of all of them, and a class
of which a survey holds fewer than N galaxies is filled up to N, to which no encoder is fitted and which count for as
many as the class would have without them. So rare classes are measured on more than a handful.

Printed are means over the seeds, with the lowest and the highest, and what each has more than the descriptor on the
same survey, with the interval (95 %, Student's t over the seeds) of that difference.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from tqdm import tqdm

from benchmarks.anomalies import RARE_GALAXIES, nearest_similarity
from benchmarks.descriptor import fit_raw_pixels, fit_rings, without_artefacts
from benchmarks.simulated_quality import RAW_PIXELS, precision
from benchmarks.simulated_sheet import to_rgb
from precompute.descriptor.features import FEATURES, Descriptor
from precompute.embedding.encoder import Encoder
from precompute.embedding.models import open_encoder
from precompute.embedding.picture_set import find_pictures, resize
from precompute.embedding.trained_encoder import ENDING, TrainedDescription
from precompute.parallel import run_chunks, thread_count
from precompute.simulation.image_survey import BLOCK, describe_survey
from precompute.simulation.rendering.camera import DEFAULT_PIXELS, render
from precompute.simulation.rendering.parameters import CLASS_NAMES, CLASSES, IS_ARTEFACT, Parameters, draw_parameters

SEEDS, FIRST_SEED = 3, 501
GALAXIES = 4_000
TRAINING_SEED, TRAINING_GALAXIES, EPOCHS = 401, 6_000, 20
NEAREST, QUERIES = 10, 200
SEARCHED = 200_000  # numbers, from the survey's last on, among which galaxies of rare classes are looked for
PIXELS_FITTED = 4_000  # galaxies whose raw pixels give the components for all, where surveys are one
FIRST = 100
TOLD = 100_000
DESCRIPTOR, RINGS, PIXELS = "descriptor", "rings only", "raw pixels"
UNTRAINED = " untrained"

Floats = NDArray[np.float32]
Images = NDArray[np.float32]
Figures = dict[str, dict[str, list[float]]]  # of an encoder, by what is told, a value a seed


class Made(NamedTuple):
    """Embeddings (n, d) of a survey, and the seconds of processor time that they took."""

    embeddings: Floats
    seconds: float


def middle_rgb(images: Images) -> NDArray[np.uint8]:
    """The middle of images in nanomaggies as an eye sees it, (n, RAW_PIXELS, RAW_PIXELS, 3)."""
    middle = slice((DEFAULT_PIXELS - RAW_PIXELS) // 2, (DEFAULT_PIXELS + RAW_PIXELS) // 2)
    return to_rgb(images)[:, middle, middle]


def describe(seed: int, parameters: Parameters) -> tuple[Floats, NDArray[np.uint8], float]:
    """Features and middles of rendered galaxies, and the seconds that describing took."""
    n = len(parameters)
    features = np.empty((n, len(FEATURES)), np.float32)
    pixels = np.empty((n, RAW_PIXELS, RAW_PIXELS, 3), np.uint8)
    seconds: list[float] = []

    def work(part: slice) -> None:
        images = render(seed, parameters[part])
        begun = time.thread_time()
        features[part] = describe_survey(images)
        seconds.append(time.thread_time() - begun)
        pixels[part] = middle_rgb(images)

    with tqdm(total=n, unit=" galaxies", desc=f"seed {seed}", leave=False) as bar:
        for part in run_chunks(work, n, BLOCK, thread_count(0)):
            bar.update(part.stop - part.start)
    return features, pixels, sum(seconds)


def measured_by(encoder: Encoder, pixels: NDArray[np.uint8]) -> Floats:
    """Numbers that a network gives pictures."""
    scaled = np.stack([resize(picture.astype(np.float32), encoder.pixels) for picture in pixels])
    return np.concatenate([encoder.measure(scaled[s : s + BLOCK]) for s in range(0, len(scaled), BLOCK)])


def embed(encoder: Encoder, found: Floats, fitted_to: Floats) -> Floats:
    """Unit embeddings of what a network measured, by what it measured of some."""
    rows = encoder.fit(fitted_to)(found)
    unit: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


def encode(encoder: Encoder, pixels: NDArray[np.uint8]) -> Floats:
    """Unit embeddings of pictures by a network."""
    found = measured_by(encoder, pixels)
    return embed(encoder, found, found)


def untrained(trained: Path, folder: Path) -> Encoder:
    """A network that `train` made, as it was before its first step; written into a folder."""
    from safetensors.numpy import save_file

    from precompute.embedding.network import ARCHITECTURES, draw_network

    described = trained.with_suffix(".json").read_bytes()
    told = msgspec.json.decode(described, type=TrainedDescription)
    path = folder / trained.name
    save_file(draw_network(ARCHITECTURES[told.network], told.seed), path)
    path.with_suffix(".json").write_bytes(described)
    return open_encoder(path)


def train_here(out: Path, galaxies: int, epochs: int) -> str:
    """Train a network on pictures of rendered galaxies, none of which is judged; what it took, for people."""
    from precompute.training.train import TrainRecipe, train

    folder = out.with_name(f"{out.stem}-pictures")
    folder.mkdir(parents=True, exist_ok=True)
    parameters = draw_parameters(TRAINING_SEED, np.arange(galaxies))

    def draw(part: slice) -> None:
        for number, picture in enumerate(middle_rgb(render(TRAINING_SEED, parameters[part])), part.start):
            path = folder / f"{number:06d}.png"
            if not path.exists():  # one that is written anew is another to `train`, which then begins anew
                Image.fromarray(picture).save(path)

    for _ in run_chunks(draw, galaxies, BLOCK, thread_count(0)):
        pass
    begun, recipe = (
        time.process_time(),
        TrainRecipe(network="small", pixels=RAW_PIXELS, crop=0, epochs=epochs, batch=128, seed=1),
    )
    made = train(find_pictures(folder), out, recipe)
    return (
        f"{out.name}: {made.steps:,} steps on {galaxies:,} pictures of a survey that is not judged, in "
        f"{(time.process_time() - begun) / 60:.0f} minutes of processor time; {out.stat().st_size / 1e6:.1f} MB; of "
        f"the held-out pictures {made.retrieval:.0%} find themselves, {made.untrained:.0%} before the first step"
    )


def timed(make: Callable[[], Floats]) -> Made:
    """Embeddings, and the processor time that they took."""
    begun = time.process_time()
    return Made(make(), time.process_time() - begun)


def embed_survey(seed: int, parameters: Parameters, networks: dict[str, Encoder]) -> dict[str, Made]:
    """A rendered survey by each encoder."""
    features, pixels, seconds = describe(seed, parameters)
    found = {
        DESCRIPTOR: Made(Descriptor.fit(features).embed(features), seconds),
        RINGS: Made(fit_rings(features).embed(without_artefacts(features)), seconds),
        PIXELS: timed(lambda: fit_raw_pixels(pixels)(pixels)),
    }
    return found | {name: timed(lambda e=encoder: encode(e, pixels)) for name, encoder in networks.items()}  # type: ignore[misc]


def rare_first(embeddings: Floats, true_class: NDArray[np.uint8]) -> int:
    """How many of the first by distance to the ten nearest are lenses, rings, mergers or artefacts."""
    is_rare = np.isin(true_class, RARE_GALAXIES) | IS_ARTEFACT[true_class]
    first = np.argsort(nearest_similarity(embeddings).mean(axis=1), kind="stable")[:FIRST]
    return int(is_rare[first].sum())


def measure(seeds: range, galaxies: int, networks: dict[str, Encoder]) -> Figures:
    """For each encoder and figure, the values of the seeds."""
    found: Figures = {}
    for seed in seeds:
        parameters = draw_parameters(seed, np.arange(galaxies))
        true_class = parameters["true_class"]
        for name, made in embed_survey(seed, parameters, networks).items():
            near = precision(made.embeddings, true_class, seed)
            figures = {c: near[f"{c} @10"] for c in CLASS_NAMES if f"{c} @10" in near}
            figures[f"rare in the first {FIRST}"] = rare_first(made.embeddings, true_class)
            figures[f"minutes for {TOLD:,}"] = made.seconds / galaxies * TOLD / 60
            figures[f"MB for {TOLD:,}"] = made.embeddings.shape[1] * 2 * TOLD / 1e6
            for figure, value in figures.items():
                found.setdefault(name, {}).setdefault(figure, []).append(round(value, 4))
    return found


def fill_up(seed: int, parameters: Parameters, at_least: int) -> Parameters:
    """Galaxies of a survey and, after them, further ones of the classes that have fewer than so many."""
    count = np.bincount(parameters["true_class"], minlength=len(CLASSES))
    further = draw_parameters(seed, len(parameters) + np.arange(SEARCHED))
    rows = [np.flatnonzero(further["true_class"] == code)[: max(at_least - n, 0)] for code, n in enumerate(count)]
    return np.concatenate([parameters, further[np.concatenate(rows)]])


def share_among_nearest(
    embeddings: Floats, true_class: NDArray[np.uint8], queries: NDArray[np.int64], drawn: NDArray[np.bool_]
) -> float:
    """Share of their class among the ten nearest of galaxies of one class, of all that were drawn at random.

    Those by which the class was filled up share with its others the weight of its expected number among the drawn.
    """
    code = true_class[queries[0]]
    own = true_class == code
    expected = CLASSES[code].share / sum(c.share for c in CLASSES) * np.count_nonzero(drawn)
    weight = np.where(own, expected / np.count_nonzero(own), drawn)
    similarity = embeddings[queries] @ embeddings.T
    similarity[np.arange(len(queries)), queries] = -np.inf
    order = np.argsort(-similarity, axis=1)[:, :-1]
    counted = np.diff(np.minimum(np.cumsum(weight[order], axis=1), NEAREST), axis=1, prepend=0)
    return float((counted * own[order]).sum(axis=1).mean() / NEAREST)


def embed_together(
    features: Floats,
    pixels: NDArray[np.uint8],
    networks: dict[str, Encoder],
    measured: dict[str, Floats],
    drawn: NDArray[np.bool_],
) -> dict[str, Floats]:
    """Embeddings of the galaxies of all surveys, by each encoder, fitted to those that were drawn at random."""
    by_pixels = fit_raw_pixels(pixels[np.flatnonzero(drawn)[:PIXELS_FITTED]])
    found = {
        DESCRIPTOR: Descriptor.fit(features[drawn]).embed(features),
        RINGS: fit_rings(features[drawn]).embed(without_artefacts(features)),
        PIXELS: np.concatenate([by_pixels(pixels[s : s + 1000]) for s in range(0, len(pixels), 1000)]),
    }
    return found | {name: embed(e, measured[name], measured[name][drawn]) for name, e in networks.items()}


def measure_together(seeds: range, galaxies: int, networks: dict[str, Encoder], at_least: int) -> Figures:
    """For each encoder and figure, the values of the galaxies of each seed among those of all."""
    surveys = [fill_up(seed, draw_parameters(seed, np.arange(galaxies)), at_least) for seed in seeds]
    described = [describe(seed, survey) for seed, survey in zip(seeds, surveys, strict=True)]
    seconds = dict.fromkeys((DESCRIPTOR, RINGS), sum(made[2] for made in described))
    measured = {}
    for name, network in networks.items():
        begun = time.process_time()
        measured[name] = np.concatenate([measured_by(network, made[1]) for made in described])
        seconds[name] = time.process_time() - begun
    features, pixels = (np.concatenate([made[part] for made in described]) for part in (0, 1))
    true_class = np.concatenate([survey["true_class"] for survey in surveys])
    number_of = np.concatenate([np.full(len(survey), number) for number, survey in enumerate(surveys)])
    drawn = np.concatenate([np.arange(len(survey)) < galaxies for survey in surveys])
    found: Figures = {}
    for name, rows in embed_together(features, pixels, networks, measured, drawn).items():
        figures = found[name] = {class_name: [] for class_name in CLASS_NAMES}
        for number, seed in enumerate(seeds):
            rng = np.random.default_rng(seed)
            for code, class_name in enumerate(CLASS_NAMES):
                queries = rng.permutation(np.flatnonzero((true_class == code) & (number_of == number)))[:QUERIES]
                figures[class_name].append(round(share_among_nearest(rows, true_class, queries, drawn), 4))
        figures[f"rare in the first {FIRST}"] = [rare_first(rows[drawn], true_class[drawn])]
        if name in seconds:
            figures[f"minutes for {TOLD:,}"] = [round(seconds[name] / len(rows) * TOLD / 60, 4)]
        figures[f"MB for {TOLD:,}"] = [rows.shape[1] * 2 * TOLD / 1e6]
    return found


def as_text(found: Figures, galaxies: int) -> str:
    """The figures as a Markdown table."""
    seeds = max(len(values) for values in found[DESCRIPTOR].values())
    lines = [
        f"{seeds} surveys of {galaxies:,} rendered galaxies: mean over them (lowest to highest)",
        "",
        f"| | {' | '.join(found)} |",
        f"| --- |{' --- |' * len(found)}",
    ]
    for figure in found[DESCRIPTOR]:
        digits = 3 if figure in CLASS_NAMES else 1
        told = [
            f"{np.mean(v):.{digits}f}" + (f" ({min(v):.{digits}f} to {max(v):.{digits}f})" if len(v) > 1 else "")
            for v in (values.get(figure, [np.nan]) for values in found.values())
        ]
        lines.append(f"| {figure} | {' | '.join(told)} |")
    return "\n".join(lines)


def difference(values: list[float], base: list[float]) -> tuple[float, float]:
    """Mean of paired differences, and the half width of its 95 % interval; NaN of a single pair."""
    gains = np.subtract(values, base)
    if len(gains) < 2:
        return float(gains.mean()), float("nan")
    return float(gains.mean()), float(stats.t.ppf(0.975, len(gains) - 1) * stats.sem(gains))


def differences_as_text(found: Figures) -> str:
    """Shares of a class less those of the descriptor, as a Markdown table; in bold where the interval leaves out 0.

    At the end those of trained networks less what they were before training.
    """
    pairs = {name: (name, DESCRIPTOR) for name in found if name != DESCRIPTOR}
    pairs |= {
        f"{name} less itself untrained": (name, f"{name}{UNTRAINED}") for name in found if f"{name}{UNTRAINED}" in found
    }
    lines = [f"| less the descriptor | {' | '.join(pairs)} |", f"| --- |{' --- |' * len(pairs)}"]
    for figure in found[DESCRIPTOR]:
        if figure not in CLASS_NAMES:
            continue
        told = []
        for name, base in pairs.values():
            mean, half = difference(found[name][figure], found[base][figure])
            mark = "**" if abs(mean) > half else ""
            told.append(f"{mark}{mean:+.3f} ± {half:.3f}{mark}")
        lines.append(f"| {figure} | {' | '.join(told)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"surveys to render ({SEEDS})")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help=f"of the first of them ({FIRST_SEED})")
    parser.add_argument("--galaxies", type=int, default=GALAXIES, help=f"galaxies in each ({GALAXIES:,})")
    parser.add_argument("--together", type=int, metavar="N", help="surveys as one, N of each class or more in each")
    parser.add_argument(
        "--model", type=Path, action="append", default=[], help="a network, as `embed --model` takes it"
    )
    parser.add_argument("--train", type=Path, metavar="FILE", help="a network to train first, and to keep as FILE")
    parser.add_argument("--train-galaxies", type=int, default=TRAINING_GALAXIES, help=f"({TRAINING_GALAXIES:,})")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"how often each of them is seen ({EPOCHS})")
    parser.add_argument("--json", type=Path, help="write the figures of every seed as JSON")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    if TRAINING_SEED in seeds:
        parser.error(f"a survey of seed {TRAINING_SEED} is what networks are trained on")
    if arguments.train:
        print(train_here(arguments.train, arguments.train_galaxies, arguments.epochs), end="\n\n", flush=True)
        arguments.model.append(arguments.train)
    with tempfile.TemporaryDirectory() as folder:
        networks = {path.stem: open_encoder(path) for path in arguments.model}
        made_here = [path for path in arguments.model if path.suffix == ENDING]
        networks |= {f"{path.stem}{UNTRAINED}": untrained(path, Path(folder)) for path in made_here}
        if arguments.together:
            found = measure_together(seeds, arguments.galaxies, networks, arguments.together)
        else:
            found = measure(seeds, arguments.galaxies, networks)
    print(as_text(found, arguments.galaxies))
    print(f"\n{differences_as_text(found)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
