"""Is the descriptor honest? Each galaxy of the deep field, drawn anew, must find its original first among all.

    python -m benchmarks.descriptor [--picture PATH] [--json PATH]

A galaxy is drawn anew from the picture around it: turned, mirrored or both, shifted by half a pixel in x and y, with
noise of the picture's own sky added on top of what is there, rounded to 8 bits. It is described from nothing and
embedded with the scales and components fitted on the originals. The same without artefacts, and raw pixels reduced by
PCA to as many dimensions, stand beside it. One row replaces every other source in the new drawing by sky: what is left
then is due to the galaxy alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from benchmarks.neighbor_picture import draw_neighbors
from precompute.deep_field.cutouts import PAD_PIXELS, STAMP_PIXELS, pad_with_sky, stamp_corner, stamps
from precompute.deep_field.detection import Detections, detect
from precompute.deep_field.picture import load_picture
from precompute.descriptor.features import COMMON, DIMENSION, RARE, Descriptor, describe

BRIGHTEST = 400
SHIFT_PIXELS = 0.5
N_QUERIES = 12
QUERY_POOL = 200

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Drawing(NamedTuple):
    """One way to draw every galaxy anew."""

    name: str
    angle_deg: float
    mirrored: bool = False
    alone: bool = False


DRAWINGS = (
    Drawing("turned by 37°", 37),
    Drawing("turned by 20°", 20),
    Drawing("turned by 60°", 60),
    Drawing("turned by 90°", 90),
    Drawing("mirrored", 0, mirrored=True),
    Drawing("mirrored and turned by 37°", 37, mirrored=True),
    Drawing("turned by 37°, alone", 37, alone=True),
)


class DeepField:
    """The picture, its galaxies (brightest first) and what the drawings are made from."""

    def __init__(self) -> None:
        picture = load_picture()
        self.found: Detections = detect(picture)
        self.sky = picture[self.found.segmentation == 0].astype(np.float32)
        self.padded = pad_with_sky(picture, self.found.segmentation == 0)
        self.originals = stamps(self.padded, self.found.galaxies)
        self.splines = [ndimage.spline_filter(self.padded[..., c], output=np.float32) for c in range(3)]

    def redraw(self, drawing: Drawing, *, seed: int, brightest: int | None = None) -> NDArray[np.uint8]:
        """Every galaxy, or the brightest, drawn anew, (n, STAMP_PIXELS, STAMP_PIXELS, 3), uint8."""
        rng = np.random.default_rng(seed)
        offset = np.arange(STAMP_PIXELS) - (STAMP_PIXELS - 1) / 2
        y, x = np.meshgrid(offset, -offset if drawing.mirrored else offset, indexing="ij")
        angle = np.radians(drawing.angle_deg)
        dx = np.cos(angle) * x - np.sin(angle) * y + SHIFT_PIXELS
        dy = np.sin(angle) * x + np.cos(angle) * y + SHIFT_PIXELS
        columns, rows = (corner + (STAMP_PIXELS - 1) / 2 for corner in stamp_corner(self.found.galaxies[:brightest]))

        segmentation = np.pad(self.found.segmentation, PAD_PIXELS)
        drawn = np.empty((len(columns), STAMP_PIXELS, STAMP_PIXELS, 3), dtype=np.uint8)
        for k, (column, row) in enumerate(zip(columns, rows, strict=True)):
            where = [row + dy, column + dx]
            light = np.stack([ndimage.map_coordinates(s, where, prefilter=False) for s in self.splines], axis=2)
            if drawing.alone:
                segment = ndimage.map_coordinates(segmentation, where, order=0)
                other = (segment != 0) & (segment != self.found.segment[k])
                light[other] = self.sky[rng.integers(len(self.sky), size=int(other.sum()))]
            noise = self.sky[rng.integers(len(self.sky), size=light.shape[:2])] - self.sky.mean(axis=0)
            drawn[k] = np.rint(np.clip(light + noise, 0, 255))
        return drawn


def fit_descriptor(images: NDArray[np.uint8]) -> Embed:
    """Our descriptor, fitted on images."""
    fitted = Descriptor.fit(describe(images))
    return lambda new: fitted.embed(describe(new))


def without_artefacts(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features on rings about the galaxies alone, without structures: what the descriptor was at first."""
    rings = features.copy()
    rings[:, len(COMMON) :] = 0
    return rings


def fit_rings(features: NDArray[np.float32]) -> Descriptor:
    """The descriptor with all of its dimensions for what every galaxy has; those beside them stay zero."""
    return Descriptor.fit(without_artefacts(features), dimension=DIMENSION + RARE)


def fit_rings_only(images: NDArray[np.uint8]) -> Embed:
    """The descriptor without artefacts, fitted on images."""
    fitted = fit_rings(describe(images))
    return lambda new: fitted.embed(without_artefacts(describe(new)))


def fit_raw_pixels(images: NDArray[np.uint8]) -> Embed:
    """PCA of the pixels themselves to as many dimensions, unit length."""

    def flat(new: NDArray[np.uint8]) -> NDArray[np.float32]:
        return new.reshape(len(new), -1).astype(np.float32)

    pca = PCA(DIMENSION, svd_solver="randomized", iterated_power=3, random_state=0).fit(flat(images))

    def embed(new: NDArray[np.uint8]) -> NDArray[np.float32]:
        components = pca.transform(flat(new))
        return np.asarray(components / np.linalg.norm(components, axis=1, keepdims=True), dtype=np.float32)

    return embed


def finds_itself(originals: NDArray[np.float32], drawn: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether drawing i is more similar to original i than to every other, for the first len(drawn) galaxies."""
    similarity = drawn @ originals.T
    rows = np.arange(len(drawn))
    own = similarity[rows, rows]
    similarity[rows, rows] = -np.inf
    return np.asarray(own > similarity.max(axis=1))


def measure(field: DeepField) -> dict[str, object]:
    """The table: for each drawing and method, the share that finds itself first."""
    fits = {"descriptor": fit_descriptor, "rings only": fit_rings_only, "raw pixels": fit_raw_pixels}
    methods = {name: fit(field.originals) for name, fit in fits.items()}
    originals = {name: embed(field.originals) for name, embed in methods.items()}
    table = []
    for seed, drawing in enumerate(DRAWINGS):
        drawn = field.redraw(drawing, seed=seed)
        line: dict[str, object] = {"drawing": drawing.name}
        for name, embed in methods.items():
            first = finds_itself(originals[name], embed(drawn))
            line[name] = {"brightest": round(float(first[:BRIGHTEST].mean()), 4), "all": round(float(first.mean()), 4)}
        table.append(line)
    start = time.process_time()
    describe(field.originals)
    milliseconds = 1000 * (time.process_time() - start) / len(field.originals)
    return {
        "galaxies": len(field.originals),
        "brightest": BRIGHTEST,
        "dimension": DIMENSION,
        "milliseconds_an_image": round(milliseconds, 2),
        "found_first": table,
    }


def choose_queries(embeddings: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rows to show: of twelve clusters of the brightest 200, one member each at random (seeded), brightest first.

    Diverse by the clusters, not flattered by the choice.
    """
    label = KMeans(N_QUERIES, n_init=4, random_state=0).fit_predict(embeddings[:QUERY_POOL])
    rng = np.random.default_rng(0)
    return np.sort([rng.choice(np.flatnonzero(label == k)) for k in range(N_QUERIES)])


def as_text(result: dict[str, object]) -> str:
    """The table as Markdown."""
    lines = [
        f"Found first among {result['galaxies']} galaxies, {result['dimension']} dimensions, "
        f"{result['milliseconds_an_image']} ms of processor time an image",
        "",
        f"| drawn anew | descriptor, brightest {BRIGHTEST} | all | rings only | all | raw pixels | all |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in result["found_first"]:  # type: ignore[attr-defined]
        found = [line[name][of] for name in ("descriptor", "rings only", "raw pixels") for of in ("brightest", "all")]
        lines.append(f"| {line['drawing']} | {' | '.join(f'{share:.3f}' for share in found)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.descriptor", description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, help="draw twelve galaxies and their neighbours as a PNG")
    parser.add_argument("--json", type=Path, help="write the table as JSON")
    arguments = parser.parse_args()
    field = DeepField()
    result = measure(field)
    print(as_text(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    if arguments.picture:
        embeddings = fit_descriptor(field.originals)(field.originals)
        draw_neighbors(arguments.picture, field.padded, field.found.galaxies, embeddings, choose_queries(embeddings))


if __name__ == "__main__":
    main()
