"""Chunks of a pass on other machines, by Dask (`--scheduler`).

Workers read what they need from the file system that all machines share, send the values of a chunk back, and write
nothing: this process alone fills the arrays and keeps the record from which a killed build goes on. So chunks, keys and
bytes are those of one machine, a killed worker costs the chunks that it had, and no file is written from two machines.

A pass travels as a file: a mapped array as the path of its own, a neighbour index as its folder. A worker opens it
once.
"""

from __future__ import annotations

import logging
import mmap
import pickle
import sys
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from atlas.errors import ResourceError, shorten
from atlas.storage.arrays import open_array

from .parallel import Found, Told, Workers

CONNECT_S = 10.0
CHUNKS_A_THREAD = 4
RELEASE_EVERY = 64
"""Chunks after which a worker gives mapped pages back: they count as its memory, by which Dask would end it."""

ALIKE = ("numpy", "scipy", "numkong", "scann", "scikit-learn", "pillow")
"""Packages whose versions decide what comes out."""

_opening = threading.Lock()
_opened: dict[str, Callable[[Any], Any]] = {}
_mapped: list[weakref.ref[np.memmap[Any, Any]]] = []
_done = count(1)


class _Pickler(pickle.Pickler):
    """Writes a mapped array as the path of its file."""

    def reducer_override(self, value: Any) -> Any:
        base: Any = getattr(value, "base", None)  # of a part of an array it is the array
        if isinstance(value, np.memmap) and isinstance(base, mmap.mmap):
            return _map_again, (Path(str(value.filename)),)
        return NotImplemented


def _map_again(path: Path) -> np.memmap[Any, Any]:
    array = open_array(path)
    assert isinstance(array, np.memmap)
    _mapped.append(weakref.ref(array))
    return array


def write_pass(work: Callable[[Any], Any], path: Path) -> None:
    """Write what is called for each chunk as a file that `call_pass` reads on another machine."""
    with path.open("wb") as f:
        _Pickler(f, protocol=pickle.HIGHEST_PROTOCOL).dump(work)


def call_pass(path: str, chunk: Any) -> Any:
    """Call a pass for a chunk, on a worker; opened unless it is the one that it had before."""
    with _opening:
        if path not in _opened:
            _opened.clear()  # an index that is let go before the next one is read
            threadpool_limits(limits=1, user_api="blas")
            _opened[path] = pickle.loads(Path(path).read_bytes())  # noqa: S301  written by the build that asks
        work = _opened[path]
    found = work(chunk)
    if next(_done) % RELEASE_EVERY == 0:
        for reference in list(_mapped):
            if (array := reference()) is not None and hasattr(mmap, "MADV_DONTNEED"):
                array._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
    return found


def read_probe(path: str) -> tuple[str, dict[str, str]]:
    """Content of a file that was just written, as a worker sees it ("" for nothing), and the versions that it runs."""
    try:
        seen = Path(path).read_text()
    except OSError:
        seen = ""
    return seen, installed_versions()


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages in `ALIKE` here; "" where one is not installed."""
    found = {"python": ".".join(map(str, sys.version_info[:2]))}
    for name in ALIKE:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


class DaskWorkers:
    """Workers of a Dask scheduler. Use `connected`.

    Parameters
    ----------
    client : distributed.Client
    address : str
        Of the scheduler, for messages.
    scratch : Path
        Absolute; on the file system that all machines share.
    """

    def __init__(self, client: Any, address: str, scratch: Path) -> None:
        self._client = client
        self._address = address
        self.scratch = scratch

    def map(self, work: Callable[[Told], Found], chunks: Iterable[Told]) -> Iterator[Found]:
        """See `Workers.map`.

        Raises
        ------
        ResourceError
            If the scheduler is gone, or every worker that a chunk was given to.
        """
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        remaining, waiting = iter(chunks), deque[Any]()
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix=".", suffix=".partial") as folder:
            path = Path(folder) / "pass"
            write_pass(work, path)
            try:
                while True:
                    free = CHUNKS_A_THREAD * max(1, sum(self._client.nthreads().values())) - len(waiting)
                    for chunk in islice(remaining, max(0, free)):
                        waiting.append(self._client.submit(call_pass, str(path), chunk, pure=False))
                    if not waiting:
                        return
                    ready = [waiting.popleft()]
                    while waiting and waiting[0].done():
                        ready.append(waiting.popleft())
                    yield from self._client.gather(ready)
            except KilledWorker as e:
                raise ResourceError(
                    f"several workers of {self._address} ended one after the other over the same chunk, most likely "
                    "for want of memory: give them more (--memory-limit), then give the same command, which goes on"
                ) from e
            except (CommClosedError, CancelledError, TimeoutError) as e:
                raise ResourceError(_away(self._address)) from e


def _away(address: str) -> str:
    return (
        f"no Dask scheduler answers at {shorten(address, 200)}: start it (dask scheduler) and its workers, and give "
        "the same command, which goes on where this ended; without --scheduler it goes on on this machine alone"
    )


@contextmanager
def connected(address: str, shared: Path) -> Iterator[Workers | None]:
    """Workers of the scheduler at an address, held while a build runs; None where no address is given.

    Parameters
    ----------
    address : str
        `tcp://host:8786`, or any that Dask takes.
    shared : Path
        Folder of the builds, which all workers must see under the same path.

    Raises
    ------
    ResourceError
        If Dask is not installed, the scheduler does not answer or has no workers, or these do not see the files or run
        other versions.
    """
    if not address:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as e:
        raise ResourceError("--scheduler needs Dask: pip install 'galaxy-finder[dask]'") from e
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is said here, in a sentence
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as e:
        raise ResourceError(_away(address)) from e
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError as e:
            raise ResourceError(
                f"the scheduler at {shorten(address, 200)} has no workers: start some (dask worker {address}) and give "
                "the same command"
            ) from e
        _check_workers(client, shared)
        yield DaskWorkers(client, address, shared.absolute())


def _check_workers(client: Any, shared: Path) -> None:
    """Refuse workers that could not do their part, or would do another one."""
    here = installed_versions()
    with tempfile.NamedTemporaryFile("w", dir=shared.absolute(), prefix=".probe", suffix=".tmp") as probe:
        probe.write(probe.name)
        probe.flush()
        try:
            answers = client.run(read_probe, probe.name)
        except (ImportError, AttributeError) as e:
            raise ResourceError(
                f"the workers do not run this program ({shorten(e, 160)}): install the same version of it there"
            ) from e
    for worker, (seen, versions) in sorted(answers.items()):
        if seen != probe.name:
            raise ResourceError(
                f"worker {worker} does not see {shared.absolute()}: atlas and source must lie on a file system that "
                "all machines share, under the same path"
            )
        other = {name: versions[name] for name, version in here.items() if versions[name] != version}
        if other:
            told = ", ".join(f"{name} {version or '(none)'} for {here[name]}" for name, version in other.items())
            raise ResourceError(f"worker {worker} runs {told}: install what this machine has")
