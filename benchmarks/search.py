"""Search among many rows, ours beside its peers: `python -m benchmarks.search [--rows N] [--ten-million]`.

Every engine indexes the same simulated survey of 128 numbers a galaxy and is asked for the hundred nearest of the same
rows, each without itself. Recall is against exact search. An engine has a ladder of settings; at each wanted recall
stands its fastest one that reaches it, so that engines are compared at equal recall and not at equal effort.

An engine is built in a process of its own and measured in another that has loaded what was saved: memory is what that
process then holds beyond what it held before, pages of mapped files left out. One query is timed on one thread, all
cores together answer all queries, each engine in the way that it offers: ours one query a call from a thread a core, as
the page asks; faiss and usearch a batch over threads of their own. Of several rounds the one with the lowest median is
kept, since the machine may have other work. JSON and a table are kept, after each engine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module, metadata
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from usearch.index import Index as UsearchGraph

from atlas.neighbors import Embeddings, SearchSetting, exact_scores, open_index, search, top_k_exact, top_k_exact_many
from benchmarks.processes import anonymous_bytes, in_own_process
from precompute.context import BuildConfig
from precompute.sources.simulated_galaxies import BLOCK_ROWS, Survey
from precompute.stages.index import build_index, choose_engine, leaf_count

K = 100
WANTED = (0.95, 0.99)
EXACT = 0.999
"""Wanted of those that scan all rows: the hundredth and the next may be as good as equal."""

QUERIES = 1_000
FEW_QUERIES = 20
"""For engines that scan all rows: their times hardly differ from query to query."""

ROUNDS = 3
DIMENSION = 128
ADD_ROWS = 131_072
CONVERT_ROWS = 8_192
"""Rows that numpy converts to float32 at once: they stay in the cache of a core."""

TEN_MILLION = 10_000_000
RESULTS = Path(__file__).parent / "results"

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

Setting = tuple[int, ...]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Questions:
    """What every engine is asked.

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


def ask(embeddings: Embeddings, count: int, seed: int = 0) -> Questions:
    """Seeded rows of a survey and their true neighbours."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(embeddings.shape[0], min(count, embeddings.shape[0]), replace=False).astype(np.int64)
    queries = np.asarray(embeddings[rows], dtype=np.float32)
    nearest, _ = top_k_exact_many(embeddings, queries, K + 1)
    return Questions(rows, queries, np.stack(without(nearest, rows)))


def without(found: NDArray[np.integer[Any]], own: NDArray[np.int64]) -> list[NDArray[np.integer[Any]]]:
    """Each line's first K rows that are neither its own nor padding (−1)."""
    return [line[(line != row) & (line >= 0)][:K] for line, row in zip(found, own, strict=True)]


class Engine:
    """A way to search; what is here is that of an engine that scans all rows.

    Attributes
    ----------
    name : str
    knobs : tuple of str
        What the numbers of a setting are.
    ladder : tuple of tuples of int
        Settings to choose from, the most thorough one last; a single one where all rows are scanned.
    file_bytes : int
        Of each row, in a mapped file that a search reads from; the page cache should have room for them.
    """

    name = ""
    knobs: tuple[str, ...] = ()
    ladder: tuple[Setting, ...] = ((),)
    file_bytes = 0

    def build(self, embeddings: Embeddings, folder: Path) -> None:
        """Write the index, on all cores."""

    def load(self, embeddings: Embeddings, folder: Path) -> None:
        """Open it for searches."""
        self._embeddings = embeddings

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        """The K nearest of one query, nearest first, its own row left out; on one thread."""
        raise NotImplementedError

    def many(
        self, queries: NDArray[np.float32], rows: NDArray[np.int64], setting: Setting
    ) -> list[NDArray[np.integer[Any]]]:
        """The same of many queries, on all cores."""
        with ThreadPoolExecutor(CORES) as pool:
            return list(pool.map(lambda query, row: self.one(query, int(row), setting), queries, rows))

    def parts(self, setting: Setting) -> dict[str, Callable[[NDArray[np.float32]], Any]]:
        """Parts of a search that are worth a time of their own."""
        return {}


class Ours(Engine):
    """The index of an atlas: codes in memory, candidates re-scored exactly from the float16 file."""

    name = "ours"
    knobs = ("leaves", "candidates")
    ladder = tuple(product((5, 10, 20, 30, 45, 60, 90, 120), (150, 200, 300, 500)))
    file_bytes = 2 * DIMENSION

    def build(self, embeddings: Embeddings, folder: Path) -> None:
        build_index(embeddings, folder, engine=choose_engine("auto", embeddings.shape[0]), config=BuildConfig())

    def load(self, embeddings: Embeddings, folder: Path) -> None:
        self._embeddings = embeddings
        self._index = open_index(folder, embeddings)

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        return search(self._index, self._embeddings, query, K, SearchSetting(*setting), skip=(row,))[0]

    def parts(self, setting: Setting) -> dict[str, Callable[[NDArray[np.float32]], Any]]:
        """The engine's own work, and the exact scores of as many rows as it proposes and of the isolated ones."""
        index, embeddings, chosen = self._index, self._embeddings, SearchSetting(*setting)
        spread = np.linspace(0, index.n_rows - 1, chosen.candidates).astype(np.int64)
        return {
            "candidates": lambda query: index.candidates(query[None], chosen),
            "scores of candidates": lambda query: exact_scores(embeddings, spread, query),
            "scores of isolated rows": lambda query: exact_scores(embeddings, index.isolated, query),
        }


class _Faiss(Engine):
    """An index of faiss, by its factory's language."""

    _file = "peer.faiss"

    def _new(self, n_rows: int) -> Any:
        raise NotImplementedError

    def _parameters(self, setting: Setting) -> Any:
        raise NotImplementedError

    def build(self, embeddings: Embeddings, folder: Path) -> None:
        faiss.omp_set_num_threads(CORES)
        index = self._new(embeddings.shape[0])
        if not index.is_trained:
            rng = np.random.default_rng(0)
            sample = rng.choice(embeddings.shape[0], min(embeddings.shape[0], 250_000), replace=False)
            index.train(np.asarray(embeddings[np.sort(sample)], dtype=np.float32))
        for start in range(0, embeddings.shape[0], ADD_ROWS):
            index.add(np.asarray(embeddings[start : start + ADD_ROWS], dtype=np.float32))
        folder.mkdir(parents=True, exist_ok=True)
        faiss.write_index(index, str(folder / self._file))

    def load(self, embeddings: Embeddings, folder: Path) -> None:
        self._index = faiss.read_index(str(folder / self._file))

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        faiss.omp_set_num_threads(1)
        found = self._index.search(query[None], K + 1, params=self._parameters(setting))[1][0]
        return found[(found != row) & (found >= 0)][:K]

    def many(
        self, queries: NDArray[np.float32], rows: NDArray[np.int64], setting: Setting
    ) -> list[NDArray[np.integer[Any]]]:
        faiss.omp_set_num_threads(CORES)
        return without(self._index.search(queries, K + 1, params=self._parameters(setting))[1], rows)


class FaissCodes(_Faiss):
    """Inverted lists of 4-bit codes by fast scan, candidates re-scored from float16 rows in memory: as exact as ours.

    As many lists and as many numbers a code as ours.
    """

    name = "faiss IVF-PQ fast scan, refined"
    knobs = ("lists", "candidates")
    ladder = tuple(product((5, 20, 30, 60, 120, 240), (200, 500, 1_000, 2_000, 4_000, 8_000)))

    def _new(self, n_rows: int) -> Any:
        factory = f"IVF{leaf_count(0, n_rows)},PQ{DIMENSION // 2}x4fs,Refine(SQfp16)"
        return faiss.index_factory(DIMENSION, factory, faiss.METRIC_INNER_PRODUCT)

    def _parameters(self, setting: Setting) -> Any:
        lists, candidates = setting
        return faiss.IndexRefineSearchParameters(
            k_factor=candidates / (K + 1), base_index_params=faiss.SearchParametersIVF(nprobe=lists)
        )


class FaissGraph(_Faiss):
    """A navigable graph (HNSW) over float32 rows."""

    name = "faiss HNSW"
    knobs = ("efSearch",)
    ladder = tuple((effort,) for effort in (101, 120, 140, 170, 200, 250, 300, 400, 600, 800, 1_200, 2_000))
    links = 32
    build_effort = 80

    def _new(self, n_rows: int) -> Any:
        index = faiss.IndexHNSWFlat(DIMENSION, self.links, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = self.build_effort
        return index

    def _parameters(self, setting: Setting) -> Any:
        return faiss.SearchParametersHNSW(efSearch=setting[0])


class Usearch(Engine):
    """A navigable graph over float16 rows, built as usearch does by itself."""

    name = "usearch"
    knobs = ("expansion",)
    ladder = FaissGraph.ladder
    _file = "peer.usearch"

    def build(self, embeddings: Embeddings, folder: Path) -> None:
        graph = UsearchGraph(ndim=DIMENSION, metric="ip", dtype="f16")
        for start in range(0, embeddings.shape[0], ADD_ROWS):
            block = np.ascontiguousarray(embeddings[start : start + ADD_ROWS])
            graph.add(np.arange(start, start + len(block), dtype=np.uint64), block, threads=CORES)
        folder.mkdir(parents=True, exist_ok=True)
        graph.save(str(folder / self._file))

    def load(self, embeddings: Embeddings, folder: Path) -> None:
        graph = UsearchGraph.restore(str(folder / self._file))
        assert graph is not None
        self._graph = graph

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        self._graph.expansion_search = setting[0]
        found = np.asarray(self._graph.search(query, K + 1, threads=1).keys, dtype=np.int64)
        return found[found != row][:K]

    def many(
        self, queries: NDArray[np.float32], rows: NDArray[np.int64], setting: Setting
    ) -> list[NDArray[np.integer[Any]]]:
        self._graph.expansion_search = setting[0]
        return without(np.asarray(self._graph.search(queries, K + 1, threads=CORES).keys, dtype=np.int64), rows)


class ExactScan(Engine):
    """All rows of the float16 file: numkong's products, short-listed and re-scored as the atlas does."""

    name = "exact, numkong"
    file_bytes = 2 * DIMENSION

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        return top_k_exact(self._embeddings, query, K, skip=(row,))[0]


class ExactNumpy(Engine):
    """All rows of the float16 file: numpy's products, converted a piece at a time."""

    name = "exact, numpy"
    file_bytes = 2 * DIMENSION

    def one(self, query: NDArray[np.float32], row: int, setting: Setting) -> NDArray[np.integer[Any]]:
        scores = np.empty(self._embeddings.shape[0], dtype=np.float32)
        for start in range(0, scores.size, CONVERT_ROWS):
            part = slice(start, start + CONVERT_ROWS)
            np.matmul(np.asarray(self._embeddings[part], dtype=np.float32), query, out=scores[part])
        scores[row] = -np.inf
        best = np.argpartition(scores, -K)[-K:]
        return best[np.argsort(-scores[best], kind="stable")]


ENGINES: tuple[type[Engine], ...] = (Ours, FaissCodes, FaissGraph, Usearch, ExactScan, ExactNumpy)
LARGE_ENGINES: tuple[type[Engine], ...] = (Ours, FaissCodes, ExactScan)
"""At ten million the graphs would not fit beside everything else."""

NAMES = tuple(kind.name for kind in ENGINES)


def draw(path: Path, n: int) -> None:
    """Write the embeddings of a simulated survey, a block at a time; the file appears when it is whole."""
    survey = Survey.draw(1, DIMENSION)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    out = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=(n, DIMENSION))
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


def build_apart(kind: type[Engine], path: Path, folder: Path) -> dict[str, float]:
    """Build an index; what it took."""
    engine = kind()
    begun = time.perf_counter()
    engine.build(np.load(path, mmap_mode="r"), folder)
    return {"build_s": round(time.perf_counter() - begun, 1)}


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
            lambda query=query, row=row: engine.one(query, row, setting)
            for query, row in zip(asked.embeddings, asked.rows.tolist(), strict=True)
        ]

    with threadpool_limits(limits=1, user_api="blas"):
        timed(calls(engine.ladder[-1]))  # warm: pages, caches, buffers
        memory = anonymous_bytes(os.getpid()) - before
        steps = []
        for setting in engine.ladder:
            taken, answers = timed(calls(setting))
            steps.append((setting, asked.recall(answers), float(np.median(taken))))
        at = []
        for wanted in (EXACT,) if scans else WANTED:
            good = [step for step in steps if step[1] >= wanted]
            if not good:
                at.append({"wanted": wanted, "recall": None, "best_recall": round(max(s[1] for s in steps), 4)})
                continue
            setting, recall, _ = min(good, key=lambda step: step[2])
            rates = [
                len(asked.rows) * 1e3 / timed([lambda s=setting: engine.many(asked.embeddings, asked.rows, s)])[0][0]
                for _ in range(rounds)
            ]
            at.append(
                {
                    "wanted": wanted,
                    "recall": round(recall, 4),
                    "setting": dict(zip(engine.knobs, setting, strict=True)),
                    **times_of(calls(setting), rounds),
                    "queries_a_second": round(max(rates)),
                    "parts_p50_ms": {
                        what: times_of([lambda q=q, work=work: work(q) for q in asked.embeddings], rounds)["p50_ms"]
                        for what, work in engine.parts(setting).items()
                    },
                }
            )
    return {
        "engine": engine.name,
        "load_s": round(loaded_s, 2),
        "bytes_a_row": round(memory / embeddings.shape[0], 1),
        "file_bytes_a_row": engine.file_bytes,
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
    n: int, work: Path, engines: Sequence[type[Engine]], queries: int = QUERIES, rounds: int = ROUNDS
) -> Iterator[dict[str, Any]]:
    """Engines on a survey of n galaxies, each as soon as it is measured. The survey's file stays for the next run."""
    path, index = work / f"embeddings-{n}.npy", work / f"index-{n}"
    if not path.exists():
        draw(path, n)
    asked = ask(np.load(path, mmap_mode="r"), queries)
    for kind in engines:
        shutil.rmtree(index, ignore_errors=True)
        built = in_own_process(build_apart, kind, path, index)
        yield {**in_own_process(measure_apart, kind, path, index, asked, rounds), **built}
    shutil.rmtree(index, ignore_errors=True)


def verdict(run: dict[str, Any]) -> str:
    """How ours compares with the peer that is fastest at the highest wanted recall, and where its time goes."""
    reached = [of for of in run["engines"] if of["at"][-1]["recall"] and of["at"][-1]["wanted"] == WANTED[-1]]
    ours, peers = ([of for of in reached if (of["engine"] == Ours.name) is own] for own in (True, False))
    if not ours or not peers:
        return f"Recall {WANTED[-1]} was not reached by ours and a peer: no comparison."
    peer = min(peers, key=lambda of: of["at"][-1]["p50_ms"])
    own, best = ours[0]["at"][-1], peer["at"][-1]
    parts = ", ".join(f"{what} {p50:.2f}" for what, p50 in own["parts_p50_ms"].items())
    return (
        f"At recall {WANTED[-1]} the fastest peer is {peer['engine']}. Ours takes {own['p50_ms'] / best['p50_ms']:.2f} "
        f"of its median time and {ours[0]['bytes_a_row'] / peer['bytes_a_row']:.3f} of its memory. Of our "
        f"{own['p50_ms']:.2f} ms, parts timed alone: {parts}."
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
    text = [
        "# Search beside its peers",
        "",
        f"`python -m benchmarks.search`: {about['machine']}; {versions}. The {K} nearest of a row, without itself; one",
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
    parser.add_argument("--engines", nargs="+", choices=NAMES, default=NAMES, metavar="ENGINE",
                        help="some of " + ", ".join(NAMES))  # fmt: skip
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks"), help="folder for surveys and indexes")
    parser.add_argument("--out", type=Path, default=RESULTS / "search", help="results, without ending; sizes and "
                        "engines that are not measured again stay")  # fmt: skip
    args = parser.parse_args()
    kept = args.out.with_suffix(".json")
    runs = {run["rows"]: run for run in json.loads(kept.read_text())["runs"]} if kept.exists() else {}
    for n in (args.rows, *([TEN_MILLION] if args.ten_million else [])):
        possible = LARGE_ENGINES if n >= TEN_MILLION else ENGINES
        for result in measure(n, args.work, [kind for kind in possible if kind.name in args.engines]):
            known = {of["engine"]: of for of in runs.get(n, {"engines": []})["engines"]} | {result["engine"]: result}
            runs[n] = {"rows": n, "engines": [known[name] for name in NAMES if name in known]}
            about = {
                "machine": f"{CORES} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 30} GiB",
                "versions": {p: metadata.version(p) for p in ("numpy", "scann", "faiss-cpu", "usearch", "numkong")},
            }
            results = [runs[size] for size in sorted(runs)]
            kept.write_text(json.dumps({"about": about, "runs": results}, indent=1) + "\n")
            args.out.with_suffix(".md").write_text(to_markdown(about, results))
            print("\n".join(table(runs[n])), flush=True)
    print(args.out.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
