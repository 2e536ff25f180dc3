"""Cost of builds: `python -m benchmarks.build 100000 1000000 [--ten-million]`. JSON and a table are kept.

Each size is a simulated survey of 128 numbers a galaxy, with `--images` one of the mixture fitted to rendered galaxies,
with as many columns as ssl-legacysurvey has. It is built by the command that a user would type, and watched from
outside: wall time and CPU of each stage as the build recorded them, and the most memory that it and its processes held
meanwhile (pages of mapped files left out, which the system takes back when it needs them).

Then a hundredth as many galaxies are appended to the atlas: what that took, and how many bytes were written.

Growth is the exponent b of time ~ nᵇ from one size to the next: 1 is linear. Stages that train on samples of a fixed
size, as UMAP does, stay below.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shutil
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from atlas.storage import layout
from atlas.storage.manifest import Manifest
from atlas.storage.validate import open_current, total_bytes
from benchmarks.processes import watch
from precompute.simulation.catalog_survey import MIN_ROWS

TEN_MILLION = 10_000_000
APPENDED_SHARE = 100
SAMPLED_ABOVE = 2_000_000
"""Larger surveys are built with `--knn sample`."""

OF_MIXTURE = ("--images", "--dimension", "128")

RESULTS = Path(__file__).parent / "results"
NEGLIGIBLE_S = 1.0
"""Growth of shorter stages would be noise."""


def measure(n: int, work: Path, survey: tuple[str, ...], parameters: list[str]) -> dict[str, Any]:
    """Simulate a survey, build its atlas, and say what each stage took.

    Parameters
    ----------
    n : int
        Galaxies.
    work : Path
        Folder for survey and atlas; what is there already is not simulated again.
    survey, parameters : sequence of str
        Further options of `simulate` and of `build`.
    """
    source, out = work / f"source-{n}", work / f"atlas-{n}"
    run = [sys.executable, "-m", "precompute", "--quiet"]
    if not (source / "source.json").exists():
        watch([*run, "simulate", str(n), *survey, "--out", str(source)])
    shutil.rmtree(out, ignore_errors=True)
    knn = ["--knn", "sample"] if n > SAMPLED_ABOVE else []
    watched = watch([*run, "build", str(source), "--out", str(out), *knn, *parameters])
    build, manifest = open_current(out)
    stages = []
    for record in manifest.stages:
        ended = (build / layout.STAGES / f"{record.name}.json").stat().st_mtime
        stages.append(
            {
                "name": record.name,
                "seconds": round(record.seconds, 1),
                "cpu_seconds": round(record.cpu_seconds, 1),
                "peak_mib": round(watched.peak_bytes(ended - record.seconds, ended) / 2**20),
                "measured": {k: v for k, v in record.measured.items() if isinstance(v, int | float | str)},
            }
        )
    ended = watched.begun + watched.seconds
    rest = watched.seconds - sum(record.seconds for record in manifest.stages)
    stages.append({"name": "publish", "seconds": round(rest, 1), "cpu_seconds": None,
                   "peak_mib": round(watched.peak_bytes(ended - rest, ended) / 2**20)})  # fmt: skip
    appended = _append(n, build, manifest, work, survey)
    return {
        "galaxies": n,
        "survey": [*survey],
        "parameters": [*knn, *parameters],
        "seconds": round(watched.seconds, 1),
        "cpu_seconds": round(watched.cpu_seconds, 1),
        "peak_mib": round(watched.peak_bytes(0, math.inf) / 2**20),
        "disk_mib": round(total_bytes(out) / 2**20),
        "load_after": round(os.getloadavg()[0], 1),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "stages": stages,
        "append": appended,
    }


def _append(n: int, build: Path, before: Manifest, work: Path, survey: tuple[str, ...]) -> dict[str, Any]:
    """Append a hundredth as many galaxies to an atlas, the next ones of its survey, and say what that took."""
    out, source = work / f"atlas-{n}", work / f"more-{n}"
    run = [sys.executable, "-m", "precompute", "--quiet"]
    m = max(MIN_ROWS, n // APPENDED_SHARE)
    watch([*run, "simulate", str(m), *survey, "--first-row", str(n), "--out", str(source)])
    watched = watch([*run, "append", str(source), "--out", str(out)])
    grown, manifest = open_current(out)
    linked = [name for name in manifest.files if name in before.files and (build / name).samefile(grown / name)]
    written = sum(file.size for name, file in manifest.files.items() if name not in {*linked})
    return {
        "galaxies": m,
        "seconds": round(watched.seconds, 1),
        "cpu_seconds": round(watched.cpu_seconds, 1),
        "peak_mib": round(watched.peak_bytes(0, math.inf) / 2**20),
        "written_bytes_a_galaxy": round(written / m),
        "linked_mib": round(sum(manifest.files[name].size for name in linked) / 2**20),
        "steps": manifest.stages[-1].measured["steps"],
    }


def growth(before: dict[str, Any], after: dict[str, Any]) -> dict[str, float]:
    """Exponent of the CPU time of the whole and of each stage from one size to the next; noise is left out."""
    pairs = {"all": (before["cpu_seconds"], after["cpu_seconds"])}
    first = {stage["name"]: stage["cpu_seconds"] for stage in before["stages"]}
    pairs |= {stage["name"]: (first[stage["name"]], stage["cpu_seconds"]) for stage in after["stages"]}
    ratio = math.log(after["galaxies"] / before["galaxies"])
    return {
        name: round(math.log(late / early) / ratio, 2)
        for name, (early, late) in pairs.items()
        if early and late and early >= NEGLIGIBLE_S
    }


def table(runs: list[dict[str, Any]]) -> str:
    """The results in Markdown: a line a stage, three columns a size, and how CPU time grows."""
    sizes = [f"{run['galaxies']:,}" for run in runs]
    grown = [growth(a, b) for a, b in itertools.pairwise(runs)]
    head = ["stage"]
    for size in sizes:
        head += [f"{size}: s", "CPU s", "MiB"]
    head += [f"growth to {size}" for size in sizes[1:]]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for i, stage in enumerate(runs[0]["stages"]):
        cells = [stage["name"]]
        for run in runs:
            of = run["stages"][i]
            cells += [f"{of['seconds']:,}", "" if of["cpu_seconds"] is None else f"{of['cpu_seconds']:,}",
                      f"{of['peak_mib']:,}"]  # fmt: skip
        lines.append("| " + " | ".join([*cells, *(str(g.get(stage["name"], "")) for g in grown)]) + " |")
    cells = ["**all**"]
    for run in runs:
        cells += [f"**{run['seconds']:,}**", f"{run['cpu_seconds']:,}", f"**{run['peak_mib']:,}**"]
    lines.append("| " + " | ".join([*cells, *(str(g.get("all", "")) for g in grown)]) + " |")
    told = [
        f"{size} galaxies: {run['disk_mib']:,} MiB on disk, load {run['load_after']}, {run['date']}, "
        f"{'parameters ' + ' '.join(run['parameters']) if run['parameters'] else 'no parameters'}"
        for size, run in zip(sizes, runs, strict=True)
    ]
    told += [
        f"{more['galaxies']:,} galaxies appended to {size}: {more['seconds']} s, {more['cpu_seconds']} s of CPU, "
        f"{more['peak_mib']:,} MiB; {more['written_bytes_a_galaxy']:,} bytes written for each, "
        f"{more['linked_mib']:,} MiB linked"
        for size, run in zip(sizes, runs, strict=True)
        if (more := run.get("append"))
    ]
    return "\n".join([*lines, "", *(f"- {line}" for line in told)]) + "\n"


def main() -> None:
    """Build each size and keep what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", help="galaxies of each survey")
    parser.add_argument("--ten-million", action="store_true", help="ten million too: 7 GB of disk and the better part "
                        "of an hour")  # fmt: skip
    parser.add_argument("--images", action="store_true", help="surveys of the mixture fitted to rendered galaxies; "
                        "their results are kept apart")  # fmt: skip
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks"), help="folder for surveys and atlases")
    parser.add_argument("--out", type=Path, help="results, without ending; sizes that are not measured again stay "
                        "(results/build, results/build-mixture)")  # fmt: skip
    args, parameters = parser.parse_known_args()
    survey, work = (OF_MIXTURE, args.work / "mixture") if args.images else ((), args.work)
    out = args.out or RESULTS / ("build-mixture" if args.images else "build")
    kept = out.with_suffix(".json")
    runs = {run["galaxies"]: run for run in json.loads(kept.read_text())["runs"]} if kept.exists() else {}
    for n in sorted({*args.sizes, *([TEN_MILLION] if args.ten_million else [])}):
        runs[n] = measure(n, work, survey, parameters)
        about = {
            "machine": f"{os.cpu_count()} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 30} GiB",
            "versions": {p: metadata.version(p) for p in ("numpy", "scann", "umap-learn", "scikit-learn")},
        }
        results = [runs[size] for size in sorted(runs)]
        kept.write_text(json.dumps({"about": about, "runs": results}, indent=1) + "\n")
        command = f"python -m benchmarks.build{' --images' * args.images}"
        told = f"`{command}`, {about['machine']}; load is that of the machine when a build ended"
        out.with_suffix(".md").write_text(f"{told}\n\n{table(results)}")
        print(table(results), flush=True)


if __name__ == "__main__":
    main()
