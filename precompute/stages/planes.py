"""Stage `planes`: the level stores and count pyramids of the map and of the sky, and the sky's own picture."""

from __future__ import annotations

import shutil

from atlas.planes.plane import write_plane
from atlas.sky.sky_plane import write_sky
from atlas.storage import layout

from .costs import Cost, Sizes
from .stage import BuildStage, StageContext


def order_map(ctx: StageContext) -> None:
    """Write the level store of the map of a space, of all rows."""
    x, y = (ctx.load(ctx.space / layout.COLUMNS / f"map_{axis}.npy") for axis in "xy")
    write_plane(ctx.space / layout.MAP_PLANE, x, y, seed=ctx.config.seed)


def order_sky(ctx: StageContext) -> None:
    """Write the level store of the sky, of all rows."""
    ra, dec = (ctx.load(ctx.build / layout.COLUMNS / f"{name}.npy") for name in (layout.RA, layout.DEC))
    write_sky(ctx.build / layout.SKY, ra, dec, seed=ctx.config.seed)


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
        with ctx.progress(2, "planes") as bar:
            order_map(ctx)
            bar.update()
            order_sky(ctx)
            bar.update()
        if ctx.source.background_path is not None:
            shutil.copyfile(ctx.source.background_path, ctx.build / layout.SKY_BACKGROUND)


STAGE = OrderPlanes()
