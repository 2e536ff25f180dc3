"""Worth of labels: `python -m benchmarks.feedback [--seeds N] [--first-seed N] [--galaxies N]`.

A person is after some rare class of a rendered survey: all of lens, ring and merger, or mergers alone. They begin with
the default detector, spoilt images hidden, and label what is listed; after every ten looks the list is made anew. Said
of each way to make it: interesting galaxies among the next 100 and 1,000 after 0, 20 and 100 looks, mean over surveys
(lowest to highest). Ways:

    ours             `atlas.queries.by_labels`: every row in a first order, the first of it in a second
    first alone      the first order, one product a row
    before           likeness as it is and oddness, as we had it
    likeness alone   the same without oddness
    kernel           regression with a Gaussian kernel and oddness for every row: a product for each label and row
    ridge, machine   regression, and a support vector machine with a Gaussian kernel, that take unlabelled galaxies for
                     weak examples of what is not wanted; and oddness
    Astronomaly      Lochner & Bassett 2021 (arXiv 2010.11202): a forest's regression of what people said times the
                     score of an isolation forest, or of our default detector, less so far from any label
    Protege          Lochner & Rudnick 2024 (arXiv 2411.04188): expected improvement by a Gaussian process
    the default detector, odd form, isolation forest, at random: no labels

Then: how often the interval that the page tells of the next hundred holds it; and what the embedding allows: how many
interesting galaxies a support vector machine with a Gaussian kernel ranks first when it was told of three quarters of
all galaxies what they are (the best of a few that were tried), the others being ranked; each quarter in turn.

For a quick look: `--seeds 1 --galaxies 2000`.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.svm import SVC

from atlas.catalog.anomalies import ARTEFACT, DEFAULT, SPOILT
from atlas.mask import Mask
from atlas.queries.by_labels import MOST_SURPRISE, Taught, top_taught
from atlas.queries.feedback import embedding_of_examples
from atlas.queries.looks import LAST, share_expected
from atlas.queries.ranking import ByLabels
from benchmarks.anomalies import describe_galaxies, detect, detect_otherwise, magnitude_of
from precompute.config import BuildConfig
from precompute.descriptor.artefact_columns import artefact_columns
from precompute.descriptor.features import GALAXY, Descriptor
from precompute.simulation.rendering.camera import DEFAULT_PIXELS
from precompute.simulation.rendering.parameters import LENS, MERGER, RING

SEEDS = 10
GALAXIES = 4_000
AFTER = (0, 20, 100)
NEXT = (100, 1_000)
EXPECTED_AFTER = (20, 40, 70, 100, 150)
STEP = 10
INTERESTS = {"lens, ring or merger": (LENS, RING, MERGER), "merger": (MERGER,)}

Floats = NDArray[np.floating[Any]]


class Search(NamedTuple):
    """A survey that is searched: unit embeddings (n, d), scores by detector (n,), classes, and who is shown."""

    embeddings: Floats
    odd: dict[str, Floats]
    true_class: NDArray[np.uint8]
    shown: NDArray[np.bool_]


class Looked(NamedTuple):
    """Galaxies that were looked at: rows, in order, and which of them were interesting."""

    rows: NDArray[np.int64]
    interesting: NDArray[np.bool_]


Order = Callable[[Search, Looked], Floats]
"""Scores of all rows, highest first, given at least one look."""


def surprise(search: Search) -> Floats:
    """Oddness of each galaxy by the default detector."""
    above = np.maximum(1 - search.odd[DEFAULT] / 100, 10**-MOST_SURPRISE)
    return np.asarray(-np.log10(above))


def probe(oddness: float) -> Order:
    """Likeness as it is, with some weight of oddness."""

    def order(search: Search, looked: Looked) -> Floats:
        examples, good = search.embeddings[looked.rows], looked.interesting
        cosines = search.embeddings @ embedding_of_examples(examples[good], examples[~good])
        return np.asarray(cosines / cosines.std() + oddness * surprise(search))

    return order


class OddColumns(dict[str, Floats]):
    """Detectors as columns of an atlas."""

    def array(self, name: str) -> Floats:
        """Values of all rows."""
        return self[name]


def ours(refined: bool) -> Order:
    """The order that the page has, or the first of its two alone."""

    def order(search: Search, looked: Looked) -> Floats:
        atlas: Any = SimpleNamespace(columns=lambda _: OddColumns(search.odd))
        n = len(search.embeddings)
        space: Any = SimpleNamespace(name="", embeddings=search.embeddings, n_rows=n)
        taught = Taught(looked.rows[looked.interesting], looked.rows[~looked.interesting])
        ranking, shown = ByLabels(("interesting",)), Mask.from_rows(np.flatnonzero(search.shown), n)
        rows, scores = top_taught(atlas, ranking, space, n, shown, taught, refined=refined)
        found = np.full(n, -np.inf)
        found[rows] = scores
        return found

    return order


def kernel(width: float, noise: float, oddness: float) -> Order:
    """Ridge regression with a Gaussian kernel on the sphere."""

    def order(search: Search, looked: Looked) -> Floats:
        examples = search.embeddings[looked.rows].astype(np.float64)
        products = np.exp((examples @ examples.T - 1) / width) + noise * np.eye(len(examples))
        by = np.linalg.solve(products, looked.interesting.astype(np.float64))
        return np.asarray(np.exp((search.embeddings @ examples.T - 1) / width) @ by + oddness * surprise(search))

    return order


def unlabelled_rows(search: Search, looked: Looked, count: int) -> NDArray[np.int64]:
    """Some rows without a label, drawn at random."""
    some = np.random.default_rng(0).choice(len(search.embeddings), min(count, len(search.embeddings)), replace=False)
    return np.setdiff1d(some, looked.rows)


def ridge_among_all(search: Search, looked: Looked) -> Floats:
    """Ridge regression of 1 for what is wanted, 0 for the rest; all others together weigh as much as the labelled."""
    rest = search.embeddings[unlabelled_rows(search, looked, 1_000)].astype(np.float64)
    middle = rest.mean(axis=0)
    labelled, rest = search.embeddings[looked.rows] - middle, rest - middle
    squares = labelled.T @ labelled + rest.T @ rest * len(labelled) / len(rest) + np.eye(len(middle))
    cosines = (search.embeddings - middle) @ np.linalg.solve(squares, labelled[looked.interesting].sum(axis=0))
    return np.asarray(cosines / cosines.std() + 0.6 * surprise(search))


def machine_among_all(search: Search, looked: Looked) -> Floats:
    """Margin of a support vector machine, to which each galaxy without a label is a twentieth of one that is not
    wanted."""
    rest = unlabelled_rows(search, looked, 1_500)
    rows = np.concatenate([looked.rows, rest])
    wanted = np.concatenate([looked.interesting, np.zeros(rest.size, bool)])
    as_many = looked.rows.size / max(1, int(looked.interesting.sum()))
    weight = np.where(wanted, as_many, np.where(np.arange(rows.size) < looked.rows.size, 1.0, 0.05))
    machine = SVC(C=3).fit(search.embeddings[rows], wanted, sample_weight=weight)
    margin = machine.decision_function(search.embeddings)
    return np.asarray(margin / margin.std() + surprise(search) / surprise(search).std())


def astronomaly(detector: str) -> Order:
    """Order by the idea of arXiv 2010.11202, written anew: what people said, times the score, less so far away."""

    def order(search: Search, looked: Looked) -> Floats:
        forest = RandomForestRegressor(100, random_state=0)
        said = forest.fit(search.embeddings[looked.rows], looked.interesting.astype(float)).predict(search.embeddings)
        cosines = (search.embeddings @ search.embeddings[looked.rows].T).max(axis=1)
        distance = np.sqrt(np.maximum(2 - 2 * cosines, 0))
        score = search.odd[detector] - search.odd[detector].min()
        far = np.exp(distance / distance.mean())
        return np.asarray(score / score.max() * np.tanh(far - 1 + np.arctanh(0.1 + 0.85 * said)))

    return order


def protege(search: Search, looked: Looked) -> Floats:
    """Expected improvement over the best label, by a Gaussian process."""
    process = GaussianProcessRegressor(ConstantKernel() * RBF(1.0) + WhiteKernel(), normalize_y=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few labels leave its parameters at their bounds
        process.fit(search.embeddings[looked.rows], 5.0 * looked.interesting)
        mean, spread = process.predict(search.embeddings, return_std=True)
    better = mean - 5.0 * looked.interesting.max()
    z = better / np.maximum(spread, 1e-9)
    return np.asarray(better * norm.cdf(z) + spread * norm.pdf(z))


def unlabelled(detector: str) -> Order:
    """The order of a detector, whatever was said."""
    return lambda search, _: search.odd[detector]


OURS = "ours"
ALLOWED = "Told of three quarters of all"
TAUGHT: dict[str, Order] = {
    OURS: ours(refined=True),
    "ours, first order alone": ours(refined=False),
    "before": probe(0.6),
    "likeness alone": probe(0.0),
    "kernel for every row": kernel(0.2, 1.0, 0.1),
    "ridge, unlabelled as others": ridge_among_all,
    "machine, unlabelled as others": machine_among_all,
    "Astronomaly, isolation forest": astronomaly("forest"),
    "Astronomaly, default detector": astronomaly(DEFAULT),
    "Protege": protege,
}
UNTAUGHT: dict[str, Order] = {
    "default detector": unlabelled(DEFAULT),
    "odd form": unlabelled("anomaly_form"),
    "isolation forest": unlabelled("forest"),
    "random": unlabelled("random"),
}
TEACHABLE_BY_ANY = ("Astronomaly, isolation forest", "Astronomaly, default detector", "Protege")


def searched(seed: int, galaxies: int) -> Search:
    """Render a survey and score its anomalies as a build does."""
    survey = describe_galaxies(seed, galaxies)
    embeddings = Descriptor.fit(survey.features).embed(survey.features)
    artefact = artefact_columns(survey.features[:, len(GALAXY) :], DEFAULT_PIXELS**2)[ARTEFACT]
    odd: dict[str, Floats] = {
        **detect(embeddings, magnitude_of(survey.parameters), BuildConfig()),
        **detect_otherwise(embeddings, seed),
    }
    odd["random"] = np.random.default_rng(seed).random(galaxies)
    return Search(embeddings, odd, survey.parameters["true_class"], artefact <= SPOILT)


def next_rows(search: Search, looked: Looked, name: str) -> NDArray[np.int64]:
    """Rows that a way lists next, best first: the default detector where it has nothing to learn from yet."""
    learns = looked.rows.size and (looked.interesting.any() or name in TEACHABLE_BY_ANY)
    way = UNTAUGHT.get(name) or (TAUGHT[name] if learns else UNTAUGHT["default detector"])
    score = np.array(way(search, looked), dtype=np.float64)
    score[~search.shown] = -np.inf
    score[looked.rows] = -np.inf
    return np.argsort(-score, kind="stable")


def found_by(search: Search, name: str, classes: tuple[int, ...]) -> list[int]:
    """Interesting galaxies among the looks so far, the next 100 and the next 1,000, for each of `AFTER`."""
    interesting = np.isin(search.true_class, classes)
    rows = np.empty(0, np.int64)
    found: list[int] = []
    for looks in AFTER:
        while rows.size < looks:
            more = next_rows(search, Looked(rows, interesting[rows]), name)
            rows = np.concatenate([rows, more[: min(STEP, looks - rows.size)]])
        listed = interesting[next_rows(search, Looked(rows, interesting[rows]), name)]
        found += [int(interesting[rows].sum()), *(int(listed[:count].sum()) for count in NEXT)]
    return found


def expected_held(search: Search, classes: tuple[int, ...]) -> list[bool]:
    """Whether the interval that the page tells held the share of interesting galaxies of the next 100, with our order
    and from the first interesting galaxy on, at each of `EXPECTED_AFTER`."""
    interesting = np.isin(search.true_class, classes)
    rows, held = np.empty(0, np.int64), []
    for looks in EXPECTED_AFTER:
        while rows.size < looks:
            more = next_rows(search, Looked(rows, interesting[rows]), OURS)
            rows = np.concatenate([rows, more[: min(STEP, looks - rows.size)]])
        if interesting[rows].any():
            low, high = share_expected(int(interesting[rows[-LAST:]].sum()), LAST)
            share = interesting[next_rows(search, Looked(rows, interesting[rows]), OURS)[:100]].mean()
            held.append(bool(low <= share <= high))
    return held


def allowed(search: Search, classes: tuple[int, ...]) -> list[int]:
    """Interesting galaxies among the first of `NEXT`, ranked by a machine that knows most of all others."""
    shown = search.shown
    interesting = np.isin(search.true_class, classes)[shown]
    machine = SVC(C=3, class_weight="balanced")
    quarters = StratifiedKFold(4, shuffle=True, random_state=0)
    scores = cross_val_predict(machine, search.embeddings[shown], interesting, cv=quarters, method="decision_function")
    listed = interesting[np.argsort(-scores, kind="stable")]
    return [int(listed[:count].sum()) for count in NEXT]


def measure(searches: Iterable[Search]) -> tuple[dict[str, dict[str, list[list[int]]]], list[bool]]:
    """Results of `found_by`, by interest, way and survey, with those of `allowed` as the last way, and of
    `expected_held`, of all."""
    held: list[bool] = []
    found: dict[str, dict[str, list[list[int]]]] = {interest: {} for interest in INTERESTS}
    for search in searches:
        for interest, classes in INTERESTS.items():
            for name in (*TAUGHT, *UNTAUGHT):
                found[interest].setdefault(name, []).append(found_by(search, name, classes))
            found[interest].setdefault(ALLOWED, []).append(allowed(search, classes))
            held += expected_held(search, classes)
    return found, held


def as_text(found: dict[str, dict[str, list[list[int]]]], galaxies: int) -> str:
    """The counts as Markdown."""
    heads = [f"{what} {after}" for after in AFTER for what in ("in", *(f"next {count:,} after" for count in NEXT))]
    lines = []
    for interest, ways in found.items():
        seeds = len(next(iter(ways.values())))
        lines += ["", f"{interest}: {seeds} seeds of {galaxies:,} rendered galaxies, interesting galaxies found", ""]
        lines += [f"| order | {' | '.join(heads)} |", f"| --- |{' --- |' * len(heads)}"]
        for name, counts in ways.items():
            told = [f"{v.mean():.1f} ({v.min()} to {v.max()})" for v in np.array(counts).T]
            if name == ALLOWED:
                lines += ["", f"{name}: {told[0]} among the first 100, {told[1]} among the first 1,000"]
            else:
                lines.append(f"| {name} | {' | '.join(told)} |")
    return "\n".join(lines[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"surveys to render ({SEEDS})")
    parser.add_argument("--first-seed", type=int, default=1, help="seed of the first (1)")
    parser.add_argument("--galaxies", type=int, default=GALAXIES, help=f"galaxies in each ({GALAXIES:,})")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    first = arguments.first_seed
    surveys = (searched(seed, arguments.galaxies) for seed in range(first, first + arguments.seeds))
    found, held = measure(surveys)
    print(as_text(found, arguments.galaxies))
    print(f"\nThe interval that the page tells held the next hundred in {sum(held)} of {len(held)} cases.")
    print(f"\n{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
