"""Context of a stage of the build: its folder, its parameters, and a way to show progress."""

from __future__ import annotations

import mmap
import sys
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from atlas.storage import layout
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Column, StageRecord

from ..config import BuildConfig
from ..parallel import Threads, Workers, thread_count
from .costs import Cost, Sizes

if TYPE_CHECKING:
    from ..sources.source import Source

SourcePart = Literal["columns", "embeddings", "images", "sky"]


def release(array: np.memmap[Any, Any]) -> None:
    """Give the pages of a mapped file back: they stay in the system's cache, and no longer count as this process's.

    What was written is not lost; what is read again is mapped again, for a tenth of a microsecond a kilobyte.
    """
    if hasattr(mmap, "MADV_DONTNEED"):
        array._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


class PassRecord(msgspec.Struct, frozen=True):
    """Record of a stage's pass over the rows, from which the next run of it goes on.

    Attributes
    ----------
    rows : int
        Rows that are on disk.
    found : dict
        What the stage has to remember of them. JSON values only.
    """

    rows: int = 0
    found: dict[str, Any] = {}


class StageContext:
    """Handed to each stage.

    Attributes
    ----------
    build : Path
        Folder of the build under way.
    space : Path
        Folder of the space under way, `<build>/spaces/<name>`.
    records : Path
        Folder of the records of the stages, `<build>/stages`; of a space that was added, one of its name in that.
    config : BuildConfig
        The parameters.
    source : Source
        Where the galaxies come from. Only stages that declare `reads_source` may read its files.
    here : Threads
        Workers of this process, for passes that would cost others more to be told of than they take.
    workers : Workers
        For all other passes: these threads, or what `--scheduler` brings.
    measured : dict
        What the stage measured or wants recorded; goes into its record and the manifest. JSON values only.
    content : dict of str to str
        Hashes of what the stage reads (`precompute.build.stage_contents`); empty where nothing is kept by them.
    """

    def __init__(
        self,
        build: Path,
        config: BuildConfig,
        *,
        name: str,
        quiet: bool = False,
        source: Source | None = None,
        records: str = "",
        columns: tuple[Column, ...] | None = None,
        workers: Workers | None = None,
    ) -> None:
        self.build = build
        self.space = layout.space_path(build, config.space)
        self.records = build / layout.STAGES / records
        self.config = config
        self.name = name
        self.quiet = quiet
        self.measured: dict[str, Any] = {}
        self.content: dict[str, str] = {}
        self.here = Threads(thread_count(config.threads))
        self.workers = workers or self.here
        self._source = source
        self._columns = columns
        self._mapped: list[weakref.ref[np.memmap[Any, Any]]] = []

    @property
    def source(self) -> Source:
        """The source; a stage that is run without one must not ask for it."""
        if self._source is None:
            raise RuntimeError(f"stage {self.name} was given no source")
        return self._source

    def catalog_columns(self) -> tuple[Column, ...]:
        """Columns of the catalogue, as the stage `read` described them if they are not told; none where it has not."""
        if self._columns is not None:
            return self._columns
        path = self.build / layout.STAGES / "read.json"
        if not path.exists():
            return ()
        record = msgspec.json.decode(path.read_bytes(), type=StageRecord)
        return msgspec.convert(record.measured["columns"], type=tuple[Column, ...])

    def load(self, path: Path) -> NDArray[Any]:
        """Open an array memory-mapped, read only, with the parts in which it goes on."""
        array = open_array(path)
        assert isinstance(array, np.memmap)
        return self._remember(array)

    def save(self, path: Path, array: NDArray[Any]) -> None:
        """Write an array; the folder is made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array, allow_pickle=False)

    def create(self, path: Path, shape: tuple[int, ...], dtype: Any) -> np.memmap[Any, Any]:
        """A new memory-mapped array to fill in chunks; call `.flush()` when done."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return self._remember(np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape))

    def open_or_create(self, path: Path, shape: tuple[int, ...], dtype: Any) -> np.memmap[Any, Any]:
        """The array that a killed run of this stage was filling, or a new one where it had come to nothing."""
        if self.kept().rows:
            return self._remember(np.load(path, mmap_mode="r+", allow_pickle=False))
        return self.create(path, shape, dtype)

    def release(self) -> None:
        """`release` every array that this context has opened: else a pass over all rows would end up holding them."""
        for reference in self._mapped:
            if (array := reference()) is not None:
                release(array)

    def _remember(self, array: np.memmap[Any, Any]) -> np.memmap[Any, Any]:
        self._mapped = [known for known in self._mapped if known() is not None] + [weakref.ref(array)]
        return array

    @property
    def _record(self) -> Path:
        return self.records / f"{self.name}.progress"

    def kept(self) -> PassRecord:
        """Record that a killed run of this stage had kept; no rows for a fresh start."""
        try:
            return msgspec.json.decode(self._record.read_bytes(), type=PassRecord)
        except (FileNotFoundError, msgspec.DecodeError):
            return PassRecord()

    def keep(self, rows: int, found: dict[str, Any] | None = None) -> None:
        """Record that the first `rows` of this stage's pass are on disk, and what was found in them."""
        self._record.parent.mkdir(parents=True, exist_ok=True)
        layout.write_atomically(self._record, msgspec.json.encode(PassRecord(rows=rows, found=found or {})))

    def forget(self) -> None:
        """Drop the record: the stage is done, or what it stood for is gone."""
        self._record.unlink(missing_ok=True)

    def progress(self, total: int, unit: str = "rows") -> tqdm[Any]:
        """A bar with rate and end, named after the stage."""
        return tqdm(
            total=total,
            unit=f" {unit}",
            desc=f"{self.name:<11}",
            unit_scale=True,
            disable=self.quiet,
            file=sys.stderr,
            mininterval=0.5,
            leave=False,
        )

    def note(self, text: str) -> None:
        """One line for the person who watches the build."""
        if not self.quiet:
            tqdm.write(f"{self.name:<11} {text}", file=sys.stderr)


class Stage(Protocol):
    """One step of a longer work: reads files of earlier stages, writes its own, nothing else.

    Attributes
    ----------
    name : str
        Unique; also the name of its record.
    version : int
        Raised when the code's result changes, so that old outputs are not reused.
    needs : tuple of str
        Stages whose outputs it reads.
    parameters : tuple of str
        Fields of `BuildConfig` that it reads.
    reads_source : bool
        Whether it reads the source's files, so that a change of those re-runs it.
    outputs : tuple of str
        Paths that it writes, relative to the build, `{space}` standing for the space's folder; folders whole.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def parameters(self) -> tuple[str, ...]: ...
    @property
    def outputs(self) -> tuple[str, ...]: ...
    @property
    def reads_source(self) -> bool: ...
    def run(self, ctx: StageContext) -> None: ...


class SpaceColumn(NamedTuple):
    """A column that a stage adds to the space, as the manifest tells of it.

    `words` are those of a category, `low` and `high` what its ends mean.
    """

    name: str
    ucd: str
    description: str
    words: tuple[str, ...] = ()
    unit: str = ""
    low: str = ""
    high: str = ""


class BuildStage(ABC):
    """Base of a stage of the build: a `Stage` that also owns what it costs and the columns that it adds.

    Attributes
    ----------
    columns : tuple of SpaceColumn
        Each a file of its name below the space's columns.
    source_parts : tuple of str
        Parts of the source that it reads: see `Source.content`.
    smaller : str
        What makes it take less memory, beside fewer galaxies; empty where nothing does.
    """

    name: str
    version: int
    needs: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    reads_source = False
    columns: tuple[SpaceColumn, ...] = ()
    smaller = ""
    source_parts: tuple[SourcePart, ...] = ()

    def files_read(self, need: str, ctx: StageContext) -> tuple[str, ...] | None:
        """Files that it reads of those that a stage before it wrote, relative to the build; None for all of them."""
        return None

    def choices(self, ctx: StageContext) -> list[str]:
        """Whatever else its outputs depend on, beside parameters."""
        return []

    @abstractmethod
    def run(self, ctx: StageContext) -> None:
        """Write the outputs."""

    @abstractmethod
    def cost(self, s: Sizes) -> Cost:
        """Cost of the stage in a build of some sizes."""
