"""Every parameter of a build, with what it means: `--help` is made of these."""

from __future__ import annotations

from typing import Annotated, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from atlas.storage.manifest import Name


class BuildConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of a build. Each stage names the ones it reads; a change re-runs those stages only.

    `threads` and `memory_gib` never change what a result means.
    """

    space: Annotated[Name, Meta(description="name of the embedding space that is built")] = "v1"
    seed: Annotated[int, Meta(ge=0, lt=2**32, description="seed of every random choice")] = 1
    threads: Annotated[int, Meta(ge=0, le=256, description="threads; 0 for every core")] = 0
    memory_gib: Annotated[float, Meta(ge=1, le=65_536, description="memory that the build may take, GiB")] = 8.0
    embedding_dtype: Annotated[Literal["float16", "float32"], Meta(description="how embeddings are stored")] = "float16"
    engine: Annotated[
        Literal["auto", "scann", "faiss", "exact"],
        Meta(description="neighbour index; auto takes scann where it is installed, else faiss"),
    ] = "auto"
    leaves: Annotated[int, Meta(ge=0, le=1_000_000, description="leaves of the index's tree; 0 for 2 √n")] = 0
    tree_sample: Annotated[
        int,
        Meta(ge=0, le=100_000_000, description="rows that the tree is trained on; 0 for 250,000 or 64 a leaf"),
    ] = 0
    codebook_sample: Annotated[
        int, Meta(ge=1_000, le=100_000_000, description="rows among these that the index's codes are trained on")
    ] = 250_000
    knn: Annotated[
        Literal["all", "sample"],
        Meta(description="rows whose ten nearest are looked for with care and kept; sample takes a stratified sample"),
    ] = "all"
    knn_sample: Annotated[int, Meta(ge=100, le=100_000_000, description="rows of that sample")] = 100_000
    subsample: Annotated[int, Meta(ge=100, le=10_000_000, description="rows that UMAP sees, its anchors")] = 50_000
    n_neighbors: Annotated[int, Meta(ge=2, le=200, description="neighbours in UMAP's graph")] = 15
    min_dist: Annotated[
        float, Meta(ge=0, le=1, description="UMAP's least distance of two rows, in units of the map")
    ] = 0.1
    n_epochs: Annotated[int, Meta(ge=0, le=10_000, description="passes of UMAP; 0 leaves it the choice")] = 0
    place_neighbors: Annotated[int, Meta(ge=1, le=200, description="anchors that place a row on the map")] = 15
    min_cluster_size: Annotated[
        int, Meta(ge=0, description="anchors in the smallest cluster; 0 for what the subsample grants a rare class")
    ] = 0
    anomaly_components: Annotated[
        int,
        Meta(ge=0, le=256, description="components that tell an odd form; 0 for four fifths of the variance"),
    ] = 0
    thumbnails: Annotated[
        int,
        Meta(ge=0, description="rows that get a stored image, the brightest; 0 for all whose images are there"),
    ] = 0
    thumbnail_pixels: Annotated[int, Meta(ge=16, le=1024, description="edge of the stored images, pixels")] = 128
    pca: Annotated[
        int, Meta(ge=0, description="numbers that wider embeddings are reduced to; 0 for 128 where there are over 256")
    ] = 0
    recall_queries: Annotated[
        int, Meta(ge=1, le=100_000, description="queries of each kind that recall is measured with")
    ] = 200

    def __post_init__(self) -> None:
        if self.pca == 1:
            raise ValueError("pca is 1: allowed is 0 (chosen for you) or 2 and more")
        if self.min_cluster_size == 1:
            raise ValueError("min_cluster_size is 1: allowed is 0 (chosen for you) or 2 and more")

    @property
    def memory(self) -> int:
        """`memory_gib` in bytes."""
        return int(self.memory_gib * 2**30)


def parameter_help(name: str) -> str:
    """Help of a parameter: its meaning and its default."""
    annotation = get_type_hints(BuildConfig, include_extras=True)[name]
    (meta,) = (one for one in annotation.__metadata__ if isinstance(one, Meta) and one.description)
    choices = (
        f"; {' or '.join(get_args(kind))}" if get_args(kind := get_args(annotation)[0]) and name != "space" else ""
    )
    return f"{meta.description}{choices} ({getattr(BuildConfig(), name)})"
