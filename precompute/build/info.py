"""`info`: what an atlas holds and how good it measured, for a person at a terminal."""

from __future__ import annotations

from pathlib import Path

from atlas.catalog.numbers import column_text
from atlas.queries.planner import WANTED_RECALL
from atlas.search.quality import choose_setting, read_quality
from atlas.storage import layout
from atlas.storage.manifest import Manifest
from atlas.storage.publish import human_bytes
from atlas.storage.validate import check_files, open_current


def describe_atlas(root: Path) -> str:
    """The report, some forty lines.

    Raises
    ------
    FormatError
        If there is no whole atlas in the folder.
    """
    build, manifest = open_current(root)
    check_files(build, manifest)
    return "\n".join([*_head(manifest), "", *_columns(manifest), "", *_spaces(build, manifest), *_stages(manifest)])


def _head(manifest: Manifest) -> list[str]:
    size = sum(f.size for f in manifest.files.values())
    p = manifest.provenance
    lines = [
        manifest.title,
        f"  {manifest.n_rows:,} galaxies, {human_bytes(size)} in {len(manifest.files)} files",
        f"  build {manifest.build_id} of {manifest.created}, format version {manifest.format_version}",
        f"  a galaxy is named by {', '.join(manifest.id_columns)}",
    ]
    if len(manifest.segments) > 1:
        sizes = " + ".join(f"{segment.stop - segment.start:,}" for segment in manifest.segments)
        lines.append(f"  {len(manifest.segments)} segments: {sizes}")
    told = {
        "survey": f"{p.survey} {p.release}".strip(),
        "licence": p.licence,
        "acknowledgement": p.acknowledgement,
        "bibtex": p.bibtex,
    }
    lines += [f"  {name}: {value}" for name, value in told.items() if value]
    if manifest.thumbnails:
        lines.append(f"  {manifest.thumbnails.present:,} images of {manifest.thumbnails.pixels} pixels")
    return lines + [f"  note: {note}" for note in p.notes]


def _columns(manifest: Manifest) -> list[str]:
    lines = ["columns"]
    for c in (*manifest.columns, *(c for space in manifest.spaces for c in space.columns)):
        if c.quantiles:
            about = " … ".join(column_text(c, end) for end in (c.quantiles[0], c.quantiles[-1]))
        else:
            about = ", ".join(c.vocabulary[:6]) if c.kind == "category" else c.kind
        missing = f", {c.missing:,} missing" if c.missing else ""
        lines.append(f"  {c.name:<18} {c.unit:<8} {about}{missing}")
    return lines


def _spaces(build: Path, manifest: Manifest) -> list[str]:
    lines = []
    for space in manifest.spaces:
        quality = read_quality(layout.space_path(build, space.name))
        lines += [
            f"space {space.name}: {space.dimension} numbers as {space.dtype}, {space.n_clusters} clusters, "
            f"{space.n_outliers} in the outlier layer",
            f"  map: trustworthiness {quality.trustworthiness:.3f}, mean trust {quality.trust_mean:.2f}",
            f"  search by {quality.engine}: the cheapest settings that reach recall {WANTED_RECALL} "
            f"of {len(quality.recall)} measured against exact search",
            "    kind of query      k  leaves  candidates   mean  worst  ms",
        ]
        for kind, k in sorted({(r.kind, r.k) for r in quality.recall}):
            _, r = choose_setting(quality, kind, k, wanted=WANTED_RECALL)
            if r is not None:
                lines.append(
                    f"    {kind:<15} {k:>4}  {r.leaves:>6}  {r.candidates:>10}  {r.mean:.3f}  {r.worst:.3f}  "
                    f"{r.median_ms:.2f}"
                )
    return lines


def _stages(manifest: Manifest) -> list[str]:
    lines = ["stages, and the most that was resident by their end, pages of mapped files included"]
    lines += [f"  {s.name:<12} {s.seconds:8.1f} s   {s.peak_mib:7,.0f} MiB" for s in manifest.stages]
    return lines
