"""Contents that a stage reads, by their hashes: whether it has to run again is theirs to say, not a file's time.

A stage that reads the source is keyed by the part of it that it reads (columns, embeddings, images, the picture of the
sky), any stage by the files that those before it wrote. So a touched file, a new title or a further column re-runs what
reads it; what comes out as it was ends there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from atlas.errors import FormatError
from atlas.storage import publish as writer
from atlas.storage.manifest import File, read_manifest

from ..sources.source import Source
from ..stages.stage import BuildStage, StageContext
from .stage_runner import digest, files_of, hash_files, output_paths

CODE, PARAMETERS, SOURCE = "this program", "parameters", "the source's"
"""Names of what a stage depends on beside other stages."""


class StageContents:
    """Hashes of the files of a build under way.

    Parameters
    ----------
    source : Source
    stages : sequence of BuildStage
    build : Path
        Folder of the build under way.
    old : Path or None
        Folder of the build in use, whose files are known where they are linked.
    """

    def __init__(self, source: Source, stages: tuple[BuildStage, ...], build: Path, old: Path | None) -> None:
        self._source, self._build, self._old = source, build, old
        self._stages = {stage.name: stage for stage in stages}
        self._known: Mapping[str, File] = {}
        if old is not None:
            with suppress(FormatError):  # of a build that cannot be read nothing is kept
                self._known = read_manifest(old).files
        self._files: dict[str, File] = {}

    def read_by(self, stage: BuildStage, ctx: StageContext) -> dict[str, str]:
        """Hash of each thing that a stage depends on, by what it is called to a person."""
        told = {name: getattr(ctx.config, name) for name in sorted(stage.parameters)}
        found = {CODE: str(stage.version), PARAMETERS: digest([told, stage.choices(ctx)])}
        found |= {f"{SOURCE} {part}": self._source.content(part) for part in stage.source_parts}
        for need in stage.needs:
            outputs = output_paths(self._stages[need], ctx)
            wanted = stage.files_read(need, ctx)
            files = {
                name: file.sha256
                for name, file in self._files.items()
                if any(Path(name).is_relative_to(output) for output in outputs)
                and (wanted is None or any(Path(name).is_relative_to(one) for one in wanted))
            }
            found[f"what {need} wrote"] = digest(files)
        return found

    def add(self, stage: BuildStage, ctx: StageContext) -> None:
        """Take in the files that a stage wrote or that were kept of it."""
        for output in output_paths(stage, ctx):
            for path in files_of(self._build / output):
                name = path.relative_to(self._build).as_posix()
                linked = self._old is not None and name in self._known and path.samefile(self._old / name)
                self._files[name] = self._known[name] if linked else writer.hash_file(path)

    def all_files(self, *, quiet: bool) -> dict[str, File]:
        """Every file of the build; those that no stage counts among its outputs are hashed now."""
        names = writer.list_files(self._build)
        rest = hash_files(self._build, [name for name in names if name not in self._files], quiet=quiet)
        return {name: rest.get(name) or self._files[name] for name in names}
