"""Stage `planes`: the level stores and count pyramids of the map and of the sky, and the sky's own picture."""

from __future__ import annotations

import shutil

from atlas.planes.plane import write_plane
from atlas.sky.sky_plane import write_sky
from atlas.storage import layout

from .costs import Cost, Sizes
from .stage import BuildStage, StageContext


class OrderPlanes(BuildStage):
    """Orders all rows for viewing: random levels, and by place inside each level."""

    name = "planes"
    version = 1
    needs = ("read", "place")
    parameters = ("seed", "space")
    outputs = (layout.SKY, "{space}/map/plane")
    reads_source = True
    source_parts = ("sky",)

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        return Cost(alone=s.n * 1e-6, memory=s.n * 24, disk=s.n * 32 + (32 << 20))

    def files_read(self, need: str, ctx: StageContext) -> tuple[str, ...] | None:
        """See `BuildStage.files_read`."""
        return tuple(f"{layout.COLUMNS}/{name}.npy" for name in (layout.RA, layout.DEC)) if need == "read" else None

    def run(self, ctx: StageContext) -> None:
        """Write both stores."""
        columns = ctx.space / layout.COLUMNS
        with ctx.progress(2, "planes") as bar:
            write_plane(
                ctx.space / layout.MAP_PLANE,
                ctx.load(columns / "map_x.npy"),
                ctx.load(columns / "map_y.npy"),
                seed=ctx.config.seed,
            )
            bar.update()
            columns = ctx.build / layout.COLUMNS
            write_sky(
                ctx.build / layout.SKY,
                ctx.load(columns / f"{layout.RA}.npy"),
                ctx.load(columns / f"{layout.DEC}.npy"),
                seed=ctx.config.seed,
            )
            bar.update()
        if ctx.source.background_path is not None:
            shutil.copyfile(ctx.source.background_path, ctx.build / layout.SKY_BACKGROUND)


STAGE = OrderPlanes()
