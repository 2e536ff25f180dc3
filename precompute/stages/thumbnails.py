"""Stage `thumbnails`: the images of a source, scaled and packed into few large files."""

from __future__ import annotations

from atlas import format as layout
from atlas.errors import InputError
from atlas.images import ThumbnailWriter
from precompute.context import StageContext
from precompute.sources.images import read_image


class PackThumbnails:
    """Packs one image a row, where the source has images; unreadable ones are counted and named, not fatal."""

    name = "thumbnails"
    version = 1
    needs = ("read",)
    parameters = ("thumbnail_pixels",)
    outputs = (layout.THUMBNAILS,)
    reads_source = True

    def run(self, ctx: StageContext) -> None:
        """Read, scale, encode and pack."""
        if not ctx.source.has_images:
            ctx.measured = {"present": 0}
            return
        unreadable: list[str] = []
        n = ctx.source.n_rows
        with (
            ThumbnailWriter(ctx.build / layout.THUMBNAILS, n, ctx.config.thumbnail_pixels) as writer,
            ctx.progress(n, "images") as bar,
        ):
            for row in range(n):
                bar.update()
                try:
                    path = ctx.source.image_path(row)
                    if path is not None:
                        writer.add(row, read_image(path))
                except InputError as e:
                    unreadable.append(str(e))
            present = writer.present
        ctx.measured = {"present": present, "unreadable": len(unreadable), "first_unreadable": unreadable[:5]}
        if unreadable:
            ctx.note(f"{len(unreadable)} of {n} images could not be read; the first: {unreadable[0]}")


STAGE = PackThumbnails()
