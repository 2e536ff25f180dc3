"""The tables of `benchmarks.survey`, in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.planes import table
from precompute.stages.measure import RECALL_AT

PARTS = ("open", "index", "search", "exact", "rate", "views", "worker")

TITLES = {
    "open": "Opening the atlas",
    "index": "Loading the index",
    "search": "Search like one galaxy",
    "exact": "Exact search over all rows",
    "rate": "Searches at once",
    "views": "Views",
    "worker": "A worker that serves it",
}


def to_markdown(about: dict[str, Any], of: dict[str, Any], parts: dict[str, Any]) -> str:
    """The tables for a person."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    sections = [
        "# A survey, opened, searched and looked at",
        f"`python -m benchmarks.survey ATLAS`: {of['rows']:,} galaxies of {of['numbers']} numbers ({of['dtype']}), "
        f"{of['disk_mib']:,} MiB on disk; {about['machine']}; {versions}. The head of `benchmarks/survey.py` says how "
        "each figure was taken.",
    ]
    for part in PARTS:
        if part in parts:
            found = parts[part]
            told = f"{found['date']}, load of the machine before {found['load_before']:g}."
            sections += [f"## {TITLES[part]}", told, "\n".join(TABLES[part](found)).strip()]
    return "\n\n".join(sections) + "\n"


def open_table(of: dict[str, Any]) -> list[str]:
    """`Atlas.open` in Markdown."""
    return table(["what", "s", "heap MiB"], [["`Atlas.open`", f"{of['seconds']:g}", f"{of['heap_mib']:g}"]])


def index_table(of: dict[str, Any]) -> list[str]:
    """Both ways to load in Markdown."""
    keys = ("seconds", "heap_mib", "heap_bytes_a_row", "peak_mib", "peak_bytes_a_row")
    rows = [
        [how, *(f"{of[key][one]:,}" for one in keys)]
        for how, key in (("from the disk", "from_disk"), ("from the page cache", "from_cache"))
    ]
    return table(["files", "s", "heap MiB", "heap B/row", "peak while loading MiB", "peak B/row"], rows)


def setting_of(line: dict[str, Any]) -> str:
    """Leaves and candidates; what searches exactly has neither."""
    return f"{line['leaves']} × {line['candidates']:,}" if "leaves" in line else "all rows"


def search_table(of: dict[str, Any]) -> list[str]:
    """A line a setting in Markdown."""
    rows = []
    for line in of["lines"]:
        setting = setting_of(line)
        if line["what"] == "planner":
            setting = f"the page's {line['limit']} through the planner, {setting}"
        elif line["pages"]:
            setting += " (the page's)"
        recall = line.get("recall", {})
        rows.append([
            setting, *(f"{recall[str(k)]:.3f}" if str(k) in recall else "" for k in RECALL_AT),
            f"{line['p50_ms']:.2f} / {line['p99_ms']:.2f}", f"{line['cold_p50_ms']:.1f} / {line['cold_worst_ms']:.1f}",
            f"{line['cold_read_kib']:,}", f"{line['cold_major_faults']:,}",
        ])  # fmt: skip
    told = (
        f"Engine {of['engine']}, leaves {of['leaves']:,}. The {of['k']} nearest of each of {of['queries']} rows on one "
        f"thread; {of['cold_queries']} of them cold."
    )
    head = ["leaves × candidates", *(f"recall@{k:,}" for k in RECALL_AT), "warm p50 / p99 ms", "cold p50 / worst ms",
            "read cold, KiB", "major faults cold"]  # fmt: skip
    return [told, *table(head, rows)]


def exact_table(of: dict[str, Any]) -> list[str]:
    """First and later in Markdown."""
    rows = [
        ["the first, from the disk", f"{of['first_s']:.3f}", "", f"{of['first_read_gib']:g}"],
        [f"the next {of['queries']}", f"{of['p50_s']:.3f}", f"{of['worst_s']:.3f}", f"{of['read_gib']:g}"],
    ]
    return table(["what", "median s", "slowest s", "read from the disk, GiB"], rows)


def rate_table(of: dict[str, Any]) -> list[str]:
    """The rate in Markdown."""
    row = [str(of["threads"]), setting_of(of), f"{of['queries_a_second']:,}"]
    return table(["threads", "leaves × candidates", "queries/s"], [row])


def views_table(of: dict[str, Any]) -> list[str]:
    """A line a question in Markdown."""
    rows = [
        [line["what"], f"{line['first_ms']:g}", f"{line['p50_ms']:g} / {line['p99_ms']:g}",
         f"{of['selected'][line['what']]:,}" if line["what"] in of["selected"] else ""]
        for line in of["lines"]
    ]  # fmt: skip
    touched = of["rows_touched"]
    told = f"Most rows touched by a viewport: {touched['map']:,} of the map, {touched['sky']:,} of the sky."
    return [*table(["what", "the first, from the disk, ms", "p50 / p99 ms", "rows selected"], rows), told]


def worker_table(of: dict[str, Any]) -> list[str]:
    """Table in Markdown of what a worker does from its start on."""
    at_first = of["readiness_at_first"]
    rows = [
        ["`/` answered first after, s", f"{of['first_answer_s']:g}"],
        ["`/readyz` then", f"{at_first['status']}, {'ready' if at_first['ready'] else 'not ready'}"],
        ["page opened and a galaxy chosen after, s", f"{of['page_drawn_s']:g}"],
        ["the status line then", of["search_says_then"]],
        ["search ready after, s", f"{of['ready_s']:g}"],
        ["slowest answer of `/` until then, ms", f"{of['slowest_answer_meanwhile_ms']:g}"],
        ["memory when ready, MiB", f"{of['ready_mib']:,}"],
        ["most until then, MiB", f"{of['peak_until_ready_mib']:,}"],
        [f"memory after {of['callbacks']} callbacks and {of['pictures']} pictures, MiB", f"{of['visited_mib']:,}"],
        ["most meanwhile, MiB", f"{of['peak_visited_mib']:,}"],
    ]
    return table(["what", f"one worker, {of['threads']} threads"], rows)


TABLES: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "open": open_table,
    "index": index_table,
    "search": search_table,
    "exact": exact_table,
    "rate": rate_table,
    "views": views_table,
    "worker": worker_table,
}
