"""Worth of labels: `python -m benchmarks.feedback [--seeds N] [--first-seed N] [--galaxies N]`.

A person is after some rare class of a rendered survey: all of lens, ring and merger, or mergers alone. They begin with
the default detector, spoilt images hidden, and label what is listed; after every ten looks the list is made anew. Said
of each way to make it: interesting galaxies among the next 100 and 1,000 after 0, 20 and 100 looks, and in all 100 and
1,000 looks of which so many were labelled; mean over surveys (lowest to highest), what ours has more with its interval
over the same surveys, and how many times the best without labels that is. Ways:

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
    default detector, after the looks of ours: what it has left to find where ours looked first

Then: how often the interval that the page tells of the next hundred holds it; and what the embedding allows. How many
interesting galaxies a support vector machine with a Gaussian kernel ranks first when it was told of three quarters of
all galaxies what they are (the best of a few that were tried), the others being ranked; each quarter in turn. And how
many the next hundred hold after 20 labels that no searcher has: ten wanted and ten others, drawn by the true classes,
the others at random or the oddest; on average and by the best of 40 draws, which who draws can only know afterwards.

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
from benchmarks.feedback_table import (
    AFTER,
    NEXT,
    Expected,
    Ways,
    as_table,
    counts,
    differences,
    of_intervals,
    times_the_best,
)
from precompute.config import BuildConfig
from precompute.descriptor.artefact_columns import artefact_columns
from precompute.descriptor.features import GALAXY, Descriptor
from precompute.simulation.rendering.camera import DEFAULT_PIXELS
from precompute.simulation.rendering.parameters import LENS, MERGER, RING

SEEDS = 10
GALAXIES = 4_000
EXPECTED_AFTER = (20, 40, 70, 100, 150)
STEP = 10
DRAWS = 40
WANTED_BY_ORACLE, OTHERS_BY_ORACLE = 10, 10
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
DEFAULT_ORDER = "default detector"
LEFT = f"{DEFAULT_ORDER}, after the looks of ours"
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
    DEFAULT_ORDER: unlabelled(DEFAULT),
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
    way = UNTAUGHT.get(name) or (TAUGHT[name] if learns else UNTAUGHT[DEFAULT_ORDER])
    return _in_order(search, way(search, looked), looked.rows)


def _in_order(search: Search, scores: Floats, looked: NDArray[np.int64]) -> NDArray[np.int64]:
    score = np.array(scores, dtype=np.float64)
    score[~search.shown] = -np.inf
    score[looked] = -np.inf
    order = np.argsort(-score, kind="stable")
    return order[np.isfinite(score[order])]


def looked_by(search: Search, name: str, interesting: NDArray[np.bool_], looked: Looked, looks: int) -> Looked:
    """The looks of a searcher who goes on from some until there are so many, by the lists of a way."""
    rows = looked.rows
    while rows.size < looks:
        more = next_rows(search, Looked(rows, interesting[rows]), name)
        rows = np.concatenate([rows, more[: min(STEP, looks - rows.size)]])
    return Looked(rows, interesting[rows])


def no_looks() -> Looked:
    """The start of a search."""
    return Looked(np.empty(0, np.int64), np.empty(0, np.bool_))


def found_by(search: Search, name: str, classes: tuple[int, ...], *, looks_of: str | None = None) -> list[int]:
    """Figures of a way, for each of `FIGURES`; where it lists what is left by the looks of another, of its lists."""
    interesting = np.isin(search.true_class, classes)
    looked = no_looks()
    found: list[int] = []
    for looks in AFTER:
        looked = looked_by(search, looks_of or name, interesting, looked, looks)
        found += counts(looked.interesting, interesting[next_rows(search, looked, name)])
    return found


def expected(search: Search, classes: tuple[int, ...]) -> list[Expected]:
    """Intervals that the page tells of the share of interesting galaxies of the next 100, with our order and from the
    first interesting galaxy on, at each of `EXPECTED_AFTER`."""
    interesting = np.isin(search.true_class, classes)
    looked, told = no_looks(), []
    for looks in EXPECTED_AFTER:
        looked = looked_by(search, OURS, interesting, looked, looks)
        if looked.interesting.any():
            low, high = share_expected(int(looked.interesting[-LAST:].sum()), LAST)
            share = float(interesting[next_rows(search, looked, OURS)[:100]].mean())
            told.append(Expected(looks, low, high, share))
    return told


def allowed(search: Search, classes: tuple[int, ...]) -> list[int]:
    """Interesting galaxies among the first of `NEXT`, ranked by a machine that knows most of all others."""
    shown = search.shown
    interesting = np.isin(search.true_class, classes)[shown]
    machine = SVC(C=3, class_weight="balanced")
    quarters = StratifiedKFold(4, shuffle=True, random_state=0)
    scores = cross_val_predict(machine, search.embeddings[shown], interesting, cv=quarters, method="decision_function")
    listed = interesting[np.argsort(-scores, kind="stable")]
    return [int(listed[:count].sum()) for count in NEXT]


def machine_alone(search: Search, looked: Looked) -> Floats:
    """Margin of a support vector machine that knows the labelled and nothing else."""
    machine = SVC(C=3, class_weight="balanced").fit(search.embeddings[looked.rows], looked.interesting)
    return np.asarray(machine.decision_function(search.embeddings))


ORACLES: dict[str, tuple[Order, bool]] = {
    "ours, others at random": (ours(refined=True), False),
    "ours, others the oddest": (ours(refined=True), True),
    "machine, others at random": (machine_alone, False),
}
"""By what they order, and whether the ten others are those that the default detector has first."""


def by_oracle(search: Search, classes: tuple[int, ...], name: str) -> tuple[float, int]:
    """Interesting galaxies in the next hundred after labels drawn by the true classes: on average and at best."""
    order, oddest = ORACLES[name]
    interesting = np.isin(search.true_class, classes)
    wanted, others = (np.flatnonzero(side & search.shown) for side in (interesting, ~interesting))
    first = others[np.argsort(-search.odd[DEFAULT][others], kind="stable")][:OTHERS_BY_ORACLE]
    rng = np.random.default_rng(0)
    found = []
    for _ in range(DRAWS):
        some = first if oddest else rng.choice(others, OTHERS_BY_ORACLE, replace=False)
        rows = np.concatenate([rng.choice(wanted, min(WANTED_BY_ORACLE, wanted.size // 2), replace=False), some])
        listed = _in_order(search, order(search, Looked(rows, interesting[rows])), rows)
        found.append(int(interesting[listed[:100]].sum()))
    return float(np.mean(found)), max(found)


class Measured(NamedTuple):
    """What is known of one interest, a list entry a survey."""

    ways: Ways
    allowed: list[list[int]]
    oracles: dict[str, list[tuple[float, int]]]
    expected: list[Expected]


def measure(searches: Iterable[Search]) -> dict[str, Measured]:
    """Everything, by interest."""
    found = {interest: Measured({}, [], {}, []) for interest in INTERESTS}
    for search in searches:
        for interest, classes in INTERESTS.items():
            ways, by_most, oracles, told = found[interest]
            for name in (*TAUGHT, *UNTAUGHT):
                ways.setdefault(name, []).append(found_by(search, name, classes))
            ways.setdefault(LEFT, []).append(found_by(search, DEFAULT_ORDER, classes, looks_of=OURS))
            by_most.append(allowed(search, classes))
            for name in ORACLES:
                oracles.setdefault(name, []).append(by_oracle(search, classes, name))
            told += expected(search, classes)
    return found


def as_text(found: dict[str, Measured], galaxies: int) -> str:
    """Everything as Markdown."""
    lines = []
    for interest, (ways, by_most, oracles, told) in found.items():
        lines += ["", f"{interest}: {len(by_most)} seeds of {galaxies:,} rendered galaxies, interesting galaxies found"]
        lines += ["", as_table(ways), "", differences(ways, OURS), "", times_the_best(ways, OURS, list(UNTAUGHT))]
        first = [f"{v.mean():.1f} ({v.min()} to {v.max()})" for v in np.array(by_most).T]
        lines += ["", f"{ALLOWED}: {first[0]} among the first 100, {first[1]} among the first 1,000"]
        for name, counted in oracles.items():
            drawn, best = (f"{v.mean():.1f} ({v.min():.1f} to {v.max():.1f})" for v in np.array(counted).T)
            lines.append(f"Labels drawn by the true classes, {name}: {drawn}, best of {DRAWS} draws {best}")
        lines += ["", of_intervals(told)]
    return "\n".join([*lines[1:], "", "Both. " + of_intervals([one for of in found.values() for one in of.expected])])


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
    print(as_text(measure(surveys), arguments.galaxies))
    print(f"\n{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
