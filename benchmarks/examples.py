"""Do several examples, and unwanted ones, help a search? `python -m benchmarks.examples [--seeds N] [--galaxies N]`.

Surveys are rendered, so the class of every galaxy is known. Members of a class are drawn as wanted examples, all rows
are ranked by each way to make a search of them, and the first wrong result, or the first three, are marked unwanted.
Said of each way, by class and number of examples:

- share: of the first 24 results, or of as many as the class has left, those of the class; precision at 10 likewise
- nDCG at 10 (Järvelin & Kekäläinen 2002, ACM Trans. Inf. Syst. 20, 422)

Every figure stands beside two lines without feedback: the wanted alone, whose list holds the wrong result still, and
"left out", the same list without it. A way must beat the second, which costs nothing. Classes count alike, however
rare; one of fewer than ten more members than examples is not asked. For a quick look: `--seeds 2 --galaxies 1000`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.queries.feedback import embedding_of_examples
from benchmarks.simulated_quality import render_survey
from precompute.simulation.rendering.parameters import CLASS_NAMES

SEEDS = 10
GALAXIES = 4_000
DRAWS = 30
WANTED = (1, 2, 5, 10)
UNWANTED = (1, 3)
FIRST = 24
AT = 10
SPARE = 10  # members that a class needs beyond the examples
MEASURES = ("share", "nDCG@10", "precision@10")
ALONE, LEFT_OUT, OURS = "wanted alone", "left out", "ours"
EMBEDDINGS = ("descriptor", "raw pixels")
DISCOUNT = 1 / np.log2(np.arange(2, AT + 2))
RESULTS = Path(__file__).parent / "results" / "examples"

Rows = NDArray[np.float64]
Rank = Callable[[Rows, Rows, Rows], NDArray[np.float64]]
"""Scores of all rows, from their embeddings, those of the wanted and those of the unwanted."""
Cell = tuple[str, str, int, int, str]  # embedding, way, wanted, unwanted, class


def _unit(embedding: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(embedding / np.linalg.norm(embedding))


def _scores(rows: Rows, query: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows @ query)


def difference(weight: float, *, shared: bool = False) -> Rank:
    """The mean of the wanted less that of the unwanted, by a weight; `shared` divides it by their number."""

    def rank(rows: Rows, wanted: Rows, unwanted: Rows) -> NDArray[np.float64]:
        by = weight / len(unwanted) if shared else weight
        return _scores(rows, wanted.mean(axis=0) - by * unwanted.mean(axis=0))

    return rank


def turned(share: float) -> Rank:
    """The mean of the wanted less a share of what the unwanted have that it has not."""

    def rank(rows: Rows, wanted: Rows, unwanted: Rows) -> NDArray[np.float64]:
        mean, away = _unit(wanted.mean(axis=0)), _unit(unwanted.mean(axis=0))
        return _scores(rows, mean - share * (away - (away @ mean) * mean))

    return rank


def ridge(unwanted_target: float, strength: float = 1.0) -> Rank:
    """A ridge regression pulled towards the mean: the wanted are to score 1, the unwanted something less."""

    def rank(rows: Rows, wanted: Rows, unwanted: Rows) -> NDArray[np.float64]:
        mean, examples = _unit(wanted.mean(axis=0)), np.concatenate([wanted, unwanted])
        aims = np.repeat([1.0, unwanted_target], [len(wanted), len(unwanted)])
        by = np.linalg.solve(examples @ examples.T + strength * np.eye(len(examples)), aims - examples @ mean)
        return _scores(rows, mean + by @ examples)

    return rank


def logistic(weight: float, steps: int = 8, slope: float = 5.0) -> Rank:
    """A logistic regression pulled towards the mean of the wanted, by Newton's method."""

    def rank(rows: Rows, wanted: Rows, unwanted: Rows) -> NDArray[np.float64]:
        mean, examples = _unit(wanted.mean(axis=0)), np.concatenate([wanted, unwanted])
        label = np.repeat([1.0, -1.0], [len(wanted), len(unwanted)])
        products, start, by = examples @ examples.T, slope * (examples @ mean), np.zeros(len(examples))
        for _ in range(steps):
            wrong = 1 / (1 + np.exp(label * (start + slope * products @ by)))
            curve = weight * slope**2 * (wrong * (1 - wrong))[:, None] * products + np.eye(len(by))
            by = by - np.linalg.solve(curve, by - weight * slope * label * wrong)
        return _scores(rows, mean + by @ examples)

    return rank


def local(weight: float, *, nearest: bool) -> Rank:
    """By the mean of the wanted or the nearest of them; what is nearer to an unwanted than to any wanted loses."""

    def rank(rows: Rows, wanted: Rows, unwanted: Rows) -> NDArray[np.float64]:
        closest = (rows @ wanted.T).max(axis=1)
        own = closest if nearest else rows @ _unit(wanted.mean(axis=0))
        return np.asarray(own - weight * np.maximum(0, (rows @ unwanted.T).max(axis=1) - closest))

    return rank


def ours(rows: Rows, wanted: Rows, unwanted: Rows) -> NDArray[np.float64]:
    """As the page searches."""
    return _scores(rows, embedding_of_examples(wanted, unwanted).astype(np.float64))


WAYS: dict[str, Rank] = {
    LEFT_OUT: lambda rows, wanted, _: _scores(rows, _unit(wanted.mean(axis=0))),
    "mean − mean": difference(1),
    "mean − ½ mean": difference(0.5),
    "mean − ¼ mean": difference(0.25),
    "mean − ¼ mean, shared": difference(0.25, shared=True),
    "turned by ¼": turned(0.25),
    "turned by ½": turned(0.5),
    "ridge to 1 and −1": ridge(-1),
    "ridge to 1 and 0": ridge(0),
    "logistic": logistic(0.1),
    "nearest": local(0, nearest=True),
    "nearest, local loss": local(1, nearest=True),
    "mean, local loss": local(0.5, nearest=False),
    OURS: ours,
}


def first_rows(scores: NDArray[np.float64], examples: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The rows of highest score, best first, without the examples."""
    scores = scores.copy()
    scores[examples] = -np.inf
    top = np.argpartition(-scores, count)[:count]
    return top[np.argsort(-scores[top], kind="stable")]


def judge(right: NDArray[np.bool_], members: int) -> tuple[float, float, float]:
    """The measures of one list, of whether each of its first 24 is right, where so many members could be found."""
    ideal = DISCOUNT[: min(AT, members)].sum()
    return (
        float(right[:FIRST].sum() / min(FIRST, members)),
        float((right[:AT] * DISCOUNT).sum() / ideal),
        float(right[:AT].sum() / min(AT, members)),
    )


def ask(
    embeddings: Rows, true_class: NDArray[np.uint8], draws: int, rng: np.random.Generator
) -> dict[tuple[str, int, int, str], list[float]]:
    """Mean measures of every way, over draws, by way, wanted, unwanted and class."""
    found: dict[tuple[str, int, int, str], list[tuple[float, float, float]]] = {}
    for code, name in enumerate(CLASS_NAMES):
        right = true_class == code
        members = np.flatnonzero(right)
        for count in (n for n in WANTED if len(members) >= n + SPARE):
            for _ in range(draws):
                wanted = rng.choice(members, count, replace=False)
                left = len(members) - count
                scores = WAYS[LEFT_OUT](embeddings, embeddings[wanted], embeddings[:0])
                alone = first_rows(scores, wanted, min(10 * FIRST, len(right) - count - 1))
                wrong = alone[~right[alone]]
                found.setdefault((ALONE, count, 0, name), []).append(judge(right[alone], left))
                for marked in (n for n in UNWANTED if len(wrong) >= n):
                    examples = np.concatenate([wanted, wrong[:marked]])
                    for way, rank in WAYS.items():
                        scores = rank(embeddings, embeddings[wanted], embeddings[wrong[:marked]])
                        shown = first_rows(scores, examples, FIRST)
                        found.setdefault((way, count, marked, name), []).append(judge(right[shown], left))
    return {cell: np.mean(values, axis=0).round(4).tolist() for cell, values in found.items()}


def measure(seeds: range, galaxies: int, draws: int) -> dict[Cell, list[list[float]]]:
    """The measures of every way in every survey, a list of three for each seed that has enough of the class."""
    cells: dict[Cell, list[list[float]]] = {}
    for done, seed in enumerate(seeds, start=1):
        survey = render_survey(seed, galaxies)
        for kind in EMBEDDINGS:
            rng = np.random.default_rng(seed)
            for cell, values in ask(survey.embeddings[kind].astype(np.float64), survey.true_class, draws, rng).items():
                cells.setdefault((kind, *cell), []).append(values)
        print(f"survey {done} of {len(seeds)} asked", flush=True)
    return cells


def gains(
    cells: dict[Cell, list[list[float]]], kind: str, way: str, marked: int, of: int
) -> list[tuple[float, float, int, str]]:
    """Gain of a way over leaving the wrong result out, and its standard error, by number of wanted and class."""
    found = []
    for (embedding, name, count, unwanted, of_class), values in cells.items():
        beside = cells.get((kind, LEFT_OUT, count, marked, of_class), [])
        if (embedding, name, unwanted) == (kind, way, 0 if way == ALONE else marked) and len(beside) == len(values):
            gain = np.array(values)[:, of] - np.array(beside)[:, of]
            error = float(gain.std(ddof=1) / np.sqrt(len(gain))) if len(gain) > 1 else np.nan
            found.append((float(gain.mean()), error, count, of_class))
    return found


def to_markdown(about: dict[str, Any], cells: dict[Cell, list[list[float]]]) -> str:
    """The results for a person."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        "# Wanted and unwanted examples",
        "",
        f"`{about['command']}`, {about['date']}: {about['machine']}; {versions}.",
        f"{about['seeds']} surveys of {about['galaxies']:,} rendered galaxies, {about['draws']} draws of examples of "
        "each class and number. Gains are over leaving the marked galaxies out and ranking by the wanted alone; ± is "
        "the standard error over surveys. A case is a class at a number of wanted examples.",
    ]
    for kind in EMBEDDINGS:
        for marked in UNWANTED:
            lines += ["", f"## {kind}: {marked} wrong result{'s' if marked > 1 else ''} unwanted", "",
                      f"| way | {' | '.join(f'gain in {name}' for name in MEASURES)} | worst case, share "
                      "| cases that lose .005 and two errors |", "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
            for way in [ALONE, *WAYS]:
                share = gains(cells, kind, way, marked, 0)
                means = [np.mean([g[0] for g in gains(cells, kind, way, marked, of)]) for of in range(len(MEASURES))]
                worst = min(share)
                lose = sum(gain < -max(0.005, 2 * error) for gain, error, *_ in share)
                lines.append(
                    f"| {way} | {' | '.join(f'{m:+.3f}' for m in means)} | {worst[0]:+.3f} ± {worst[1]:.3f}, "
                    f"{worst[3]} of {worst[2]} | {lose} of {len(share)} |"
                )
    lines += ["", "## Ours by class", "", "Share of the class among the first 24, descriptor: mean over surveys "
              "(lowest to highest) with the wanted alone, then the mean with one and three wrong results unwanted.", "",
              "| class | wanted | alone | one unwanted | three unwanted | nDCG@10 alone | one unwanted "
              "| raw pixels alone | one unwanted |",
              "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for name in CLASS_NAMES:
        for count in WANTED:
            if (EMBEDDINGS[0], ALONE, count, 0, name) in cells:
                lines.append(f"| {name} | {count} | {' | '.join(_by_class(cells, name, count))} |")
    return "\n".join(lines) + "\n"


def _by_class(cells: dict[Cell, list[list[float]]], name: str, count: int) -> list[str]:
    def told(kind: str, way: str, marked: int, of: int) -> str:
        values = cells.get((kind, way, count, marked, name))
        return "" if values is None else f"{np.mean(values, axis=0)[of]:.3f}"

    ours, raw = EMBEDDINGS
    alone = np.array(cells[ours, ALONE, count, 0, name])[:, 0]
    return [
        f"{alone.mean():.3f} ({alone.min():.3f} to {alone.max():.3f})",
        *(told(ours, OURS, marked, 0) for marked in UNWANTED),
        *(told(ours, *line, 1) for line in ((ALONE, 0), (OURS, 1))),
        *(told(raw, *line, 0) for line in ((ALONE, 0), (OURS, 1))),
    ]


def main() -> None:
    """Measure and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"surveys to render ({SEEDS})")
    parser.add_argument("--first-seed", type=int, default=1, help="seed of the first survey (1)")
    parser.add_argument("--galaxies", type=int, default=GALAXIES, help=f"galaxies in each ({GALAXIES:,})")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"draws of examples of a class and number ({DRAWS})")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the results, without .json and .md")
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    cells = measure(seeds, args.galaxies, args.draws)
    command = (
        f"python -m benchmarks.examples --seeds {args.seeds} --first-seed {args.first_seed} "
        f"--galaxies {args.galaxies} --draws {args.draws}"
    )
    about = {
        "command": command,
        "seeds": args.seeds,
        "galaxies": args.galaxies,
        "draws": args.draws,
        "machine": f"{os.cpu_count()} cores",
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "versions": {name: metadata.version(name) for name in ("numpy", "numba", "scikit-learn")},
    }
    text = to_markdown(about, cells)
    print(text)
    runs = [[*cell, *np.mean(values, axis=0).round(4).tolist()] for cell, values in cells.items()]
    fields = ["embedding", "way", "wanted", "unwanted", "class", *MEASURES]
    args.out.with_suffix(".md").write_text(text)
    args.out.with_suffix(".json").write_text(json.dumps({"about": about, "fields": fields, "means": runs}) + "\n")


if __name__ == "__main__":
    main()
