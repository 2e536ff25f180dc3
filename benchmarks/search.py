"""Search among many rows, ours beside its peers: `python -m benchmarks.search [--rows N] [--dimension D] [--images]`.

Every engine indexes the same simulated survey of 128 numbers a galaxy (or `--dimension`), with `--images` rows of the
mixture fitted to rendered galaxies, and is asked for the hundred nearest of the same rows, each without itself. Recall
is against exact search. An engine has a ladder of settings; at each wanted recall stands its fastest one that reaches
it, so that engines are compared at equal recall and not at equal effort.

An engine is built in a process of its own and measured in another that has loaded what was saved: memory is what that
process then holds beyond what it held before, pages of mapped files left out. One query is timed on one thread, all
cores together answer all queries, each engine in the way that it offers: ours one query a call from a thread a core, as
the page asks; its peers a batch over threads of their own. Of several rounds the one with the lowest median is kept,
since the machine may have other work. Where a search reads a file, queries are also timed with none of it in memory.
JSON and a table are kept, after each engine.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from atlas.search.exact import EmbeddingArray, top_k_exact_many
from benchmarks.processes import anonymous_bytes, in_own_process
from benchmarks.search_engines import CORES, Engine, K, Ours, Setting, without
from benchmarks.search_peers import ENGINES, LARGE_ENGINES, NAMES, WIDE_ENGINES
from precompute.simulation.catalog_galaxies import BLOCK_ROWS, Survey
from precompute.simulation.image_survey import simulate_images
from precompute.sources.source import open_source

DIMENSION = 128
WANTED = (0.95, 0.99, 0.998)
GOAL = 0.99
"""Of these, the one at which engines are compared."""

EXACT = 0.999
"""Wanted of those that scan all rows: the hundredth and the next may be as good as equal."""

QUERIES = 1_000
FEW_QUERIES = 20
"""For engines that scan all rows: their times hardly differ from query to query."""

COLD_QUERIES = 30
ROUNDS = 3
CHOICE_ROUNDS = 2
"""Times that the whole ladder is climbed to choose a setting."""

LIBRARIES = ("numpy", "scann", "faiss-cpu", "usearch", "rabitqlib", "numkong")
TEN_MILLION = 10_000_000
RESULTS = Path(__file__).parent / "results"

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Questions:
    """Questions that every engine is asked.

    Attributes
    ----------
    rows : ndarray of shape (q,), int64
        Distinct; each is left out of its own answer.
    embeddings : ndarray of shape (q, d), float32
    truth : ndarray of shape (q, K), int64
        The nearest of each, exactly.
    """

    rows: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    truth: NDArray[np.int64]

    def recall(self, answers: Sequence[NDArray[np.integer[Any]]]) -> float:
        """Mean share of the true neighbours that the first answers hold; a row that is told twice counts once."""
        shares = [np.isin(truth, found).mean() for truth, found in zip(self.truth, answers, strict=False)]
        return float(np.mean(shares))


def ask(embeddings: EmbeddingArray, count: int, seed: int = 0) -> Questions:
    """Seeded rows of a survey and their true neighbours."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(embeddings.shape[0], min(count, embeddings.shape[0]), replace=False).astype(np.int64)
    queries = np.asarray(embeddings[rows], dtype=np.float32)
    nearest, _ = top_k_exact_many(embeddings, queries, K + 1)
    return Questions(rows, queries, np.stack(without(nearest, rows)))


def draw(path: Path, n: int, dimension: int = DIMENSION, *, of_mixture: bool = False) -> None:
    """Write the embeddings of a simulated survey, a block at a time; the file appears when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    out = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=(n, dimension))
    if of_mixture:
        folder = path.with_suffix(".source")
        simulate_images(n, folder, dimension=dimension)
        for start, rows in open_source(folder).embedding_chunks(BLOCK_ROWS):
            out[start : start + len(rows)] = rows
        shutil.rmtree(folder)
    else:
        survey = Survey.draw(1, dimension)
        for start in range(0, n, BLOCK_ROWS):
            out[start : start + BLOCK_ROWS] = survey.draw_block(start // BLOCK_ROWS)[1][: n - start]
    out.flush()
    partial.replace(path)


def timed(calls: Iterable[Callable[[], Answer]]) -> tuple[NDArray[np.float64], list[Answer]]:
    """Milliseconds of each call, and what it gave."""
    taken, given = [], []
    for call in calls:
        begun = time.perf_counter()
        given.append(call())
        taken.append((time.perf_counter() - begun) * 1e3)
    return np.array(taken), given


def times_of(calls: Sequence[Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median and 99th percentile of the calls' milliseconds, in the round with the lowest median."""
    best = min((timed(calls)[0] for _ in range(rounds)), key=np.median)
    return {"p50_ms": round(float(np.median(best)), 4), "p99_ms": round(float(np.quantile(best, 0.99)), 4)}


def drop_pages(mapped: np.memmap[Any, Any], path: Path) -> None:
    """Take a mapped file out of memory, as far as nobody else holds it."""
    mapped._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def build_apart(kind: type[Engine], path: Path, folder: Path) -> dict[str, float]:
    """Build an index; what it took."""
    engine = kind()
    begun = time.perf_counter()
    engine.build(np.load(path, mmap_mode="r"), folder)
    took = {"build_s": round(time.perf_counter() - begun, 1)}
    folder.with_suffix(".json").write_text(json.dumps(took))
    return took


def measure_apart(kind: type[Engine], path: Path, folder: Path, asked: Questions, rounds: int) -> dict[str, Any]:
    """Load an index and search it: memory, and at each wanted recall the fastest setting of the ladder."""
    import_module("scann.scann_ops.py.scann_ops_pybind")  # what it holds is not the index's
    engine = kind()
    embeddings = np.load(path, mmap_mode="r")
    before = anonymous_bytes(os.getpid())
    begun = time.perf_counter()
    engine.load(embeddings, folder)
    loaded_s = time.perf_counter() - begun
    scans = len(engine.ladder) == 1
    if scans:
        asked = Questions(asked.rows[:FEW_QUERIES], asked.embeddings[:FEW_QUERIES], asked.truth[:FEW_QUERIES])

    def calls(setting: Setting) -> list[Callable[[], NDArray[np.integer[Any]]]]:
        return [
            partial(engine.one, query, row, setting)
            for query, row in zip(asked.embeddings, asked.rows.tolist(), strict=True)
        ]

    with threadpool_limits(limits=1, user_api="blas"):
        timed(calls(engine.ladder[-1]))  # warm: pages, caches, buffers
        memory = anonymous_bytes(os.getpid()) - before
        recalls = [asked.recall(timed(calls(setting))[1]) for setting in engine.ladder]
        # Neighbours on the ladder differ by little: up and up again, so that a busy moment does not choose among them.
        medians = [[float(np.median(timed(calls(s))[0])) for s in engine.ladder] for _ in range(CHOICE_ROUNDS)]
        steps = list(zip(engine.ladder, recalls, np.min(medians, axis=0).tolist(), strict=True))
        at: list[dict[str, Any]] = []
        for wanted in (EXACT,) if scans else WANTED:
            good = [step for step in steps if step[1] >= wanted]
            if not good:
                at.append({"wanted": wanted, "recall": None, "best_recall": round(max(s[1] for s in steps), 4)})
                continue
            setting, recall, _ = min(good, key=lambda step: step[2])
            cold = []
            if engine.reads_file and not scans:
                for call in calls(setting)[:COLD_QUERIES]:
                    drop_pages(embeddings, path)
                    cold.append(timed([call])[0][0])
                timed(calls(setting))  # warm again
            rates = [
                len(asked.rows) * 1e3 / timed([partial(engine.many, asked.embeddings, asked.rows, setting)])[0][0]
                for _ in range(rounds)
            ]
            at.append(
                {
                    "wanted": wanted,
                    "recall": round(recall, 4),
                    "setting": dict(zip(engine.knobs, setting, strict=True)),
                    **times_of(calls(setting), rounds),
                    "cold_p50_ms": round(float(np.median(cold)), 2) if cold else None,
                    "queries_a_second": round(max(rates)),
                    "parts_p50_ms": {
                        what: times_of([partial(work, q) for q in asked.embeddings], rounds)["p50_ms"]
                        for what, work in engine.parts(setting).items()
                    },
                }
            )
    return {
        "engine": engine.name,
        "load_s": round(loaded_s, 2),
        "bytes_a_row": round(memory / embeddings.shape[0], 1),
        "file_bytes_a_row": 2 * embeddings.shape[1] if engine.reads_file else 0,
        "at": at,
        "queries": len(asked.rows),
        "rounds": rounds,
        "machine_load": round(os.getloadavg()[0], 1),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "ladder": [
            {**dict(zip(engine.knobs, setting, strict=True)), "recall": round(recall, 4), "p50_ms": round(p50, 4)}
            for setting, recall, p50 in steps
        ],
    }


def measure(
    n: int,
    work: Path,
    engines: Sequence[type[Engine]],
    queries: int = QUERIES,
    rounds: int = ROUNDS,
    dimension: int = DIMENSION,
    *,
    of_mixture: bool = False,
    keep: bool = False,
) -> Iterator[dict[str, Any]]:
    """Engines on a survey of n galaxies, each as soon as it is measured.

    The survey's file stays for the next run; indexes do where `keep` says so, and are then not built again.
    """
    of = f"{'mixture-' * of_mixture}{n}{f'x{dimension}' * (dimension != DIMENSION)}"
    path = work / f"embeddings-{of}.npy"
    if not path.exists():
        draw(path, n, dimension, of_mixture=of_mixture)
    asked = ask(np.load(path, mmap_mode="r"), queries)
    for kind in engines:
        index = work / f"index-{of}-{kind.__name__.lower()}"
        record = index.with_suffix(".json")
        if keep and record.exists():
            built = json.loads(record.read_text())
        else:
            record.unlink(missing_ok=True)
            shutil.rmtree(index, ignore_errors=True)
            built = in_own_process(build_apart, kind, path, index)
        yield {**in_own_process(measure_apart, kind, path, index, asked, rounds), **built}
        if not keep:
            record.unlink()
            shutil.rmtree(index, ignore_errors=True)


def verdict(run: dict[str, Any]) -> str:
    """Verdict on ours beside the peer that is fastest at the highest wanted recall, and where its time goes."""
    reached = [(of, at) for of in run["engines"] for at in of["at"] if at["recall"] and at["wanted"] == GOAL]
    ours, peers = ([one for one in reached if (one[0]["engine"] == Ours.name) is own] for own in (True, False))
    if not ours or not peers:
        return f"Recall {GOAL} was not reached by ours and a peer: no comparison."
    (mine, own), (peer, best) = ours[0], min(peers, key=lambda one: float(one[1]["p50_ms"]))
    parts = ", ".join(f"{what} {p50:.2f}" for what, p50 in own["parts_p50_ms"].items())
    cold = f" With none of the file in memory: {own['cold_p50_ms']:.0f} ms." if own["cold_p50_ms"] else ""
    return (
        f"At recall {GOAL} the fastest peer is {peer['engine']}. Ours takes {own['p50_ms'] / best['p50_ms']:.2f} "
        f"of its median time and {mine['bytes_a_row'] / peer['bytes_a_row']:.3f} of its memory. Of our "
        f"{own['p50_ms']:.2f} ms, parts timed alone: {parts}.{cold}"
    )


def table(run: dict[str, Any]) -> list[str]:
    """A size in Markdown: a line an engine and wanted recall."""
    head = ["engine", "wanted", "recall@100", "setting", "p50 ms", "p99 ms", "queries/s", "build s", "memory B/row",
            "file B/row", "load of the machine"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for result in run["engines"]:
        memory = [f"{result['build_s']:g}", f"{result['bytes_a_row']:g}", f"{result['file_bytes_a_row']}",
                  f"{result['machine_load']}"]  # fmt: skip
        for at in result["at"]:
            cells = [result["engine"], f"{at['wanted']:g}"]
            if at["recall"] is None:
                cells += [f"not reached ({at['best_recall']:.3f})", "", "", "", ""]
            else:
                setting = ", ".join(f"{name} {value}" for name, value in at["setting"].items())
                cells += [f"{at['recall']:.3f}", setting, f"{at['p50_ms']:.2f}", f"{at['p99_ms']:.2f}",
                          f"{at['queries_a_second']:,}"]  # fmt: skip
            lines.append("| " + " | ".join([*cells, *memory]) + " |")
    return lines


def to_markdown(about: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    """The results for a person."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    dimension = about.get("dimension", DIMENSION)
    command = f"python -m benchmarks.search{' --images' * about.get('images', False)}"
    command += f" --dimension {dimension}" * (dimension != DIMENSION)
    text = [
        "# Search beside its peers",
        "",
        f"`{command}`: {about['machine']}; {versions}. The {K} nearest of a row, without itself; one",
        "query on one thread, warm, the best of several rounds; queries/s on all cores. Memory is the heap after",
        "loading; what a search reads from a mapped file stands beside it, and wants room in the page cache.",
    ]
    for run in runs:
        text += ["", f"## {run['rows']:,} rows", "", *table(run), "", verdict(run)]
    return "\n".join(text) + "\n"


def main() -> None:
    """Measure the sizes that were asked for and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="galaxies of the survey")
    parser.add_argument("--ten-million", action="store_true", help="ten million too, ours and IVF-PQ: 8 GB of disk")
    parser.add_argument("--images", action="store_true", help="rows of the mixture fitted to rendered galaxies; their "
                        "results are kept apart")  # fmt: skip
    parser.add_argument("--dimension", type=int, default=DIMENSION, help=f"numbers a galaxy ({DIMENSION}); of others "
                        "results are kept apart")  # fmt: skip
    parser.add_argument("--queries", type=int, default=QUERIES, help=f"galaxies to search for ({QUERIES})")
    parser.add_argument("--keep", action="store_true", help="leave indexes for the next run, which then builds none")
    parser.add_argument("--engines", nargs="+", choices=NAMES, default=NAMES, metavar="ENGINE",
                        help="some of " + ", ".join(NAMES))  # fmt: skip
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks"), help="folder for surveys and indexes")
    parser.add_argument("--out", type=Path, help="results, without ending; sizes and engines that are not measured "
                        "again stay (results/search, results/search-mixture)")  # fmt: skip
    args = parser.parse_args()
    wide = args.dimension != DIMENSION
    name = f"search{'-mixture' * args.images}{f'-{args.dimension}' * wide}"
    out = args.out or RESULTS / name
    kept = out.with_suffix(".json")
    runs = {run["rows"]: run for run in json.loads(kept.read_text())["runs"]} if kept.exists() else {}
    for n in (args.rows, *([TEN_MILLION] if args.ten_million else [])):
        possible = LARGE_ENGINES if n >= TEN_MILLION else WIDE_ENGINES if wide else ENGINES
        chosen = [kind for kind in possible if kind.name in args.engines]
        measured = measure(
            n, args.work, chosen, args.queries, dimension=args.dimension, of_mixture=args.images, keep=args.keep
        )
        for result in measured:
            known = {of["engine"]: of for of in runs.get(n, {"engines": []})["engines"]} | {result["engine"]: result}
            runs[n] = {"rows": n, "engines": [known[name] for name in NAMES if name in known]}
            about = {
                "images": args.images,
                "dimension": args.dimension,
                "machine": f"{CORES} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 30} GiB",
                "versions": {name: metadata.version(name) for name in LIBRARIES},
            }
            results = [runs[size] for size in sorted(runs)]
            kept.write_text(json.dumps({"about": about, "runs": results}, indent=1) + "\n")
            out.with_suffix(".md").write_text(to_markdown(about, results))
            print("\n".join(table(runs[n])), flush=True)
    print(out.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
