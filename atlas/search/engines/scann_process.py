"""A ScaNN index in a process of its own, as a server needs it.

ScaNN holds the interpreter's lock while it reads an index, a second for every million rows: in the server's own process
nothing at all would be answered until 42 million are read, and a watchdog might end it. So they are read, and searched,
by a child; its memory goes back to the system whole when the index is let go, and an index that makes ScaNN's C++ abort
takes nothing with it.

    candidates ── one of a few channels ──>  python -m atlas.search.engines.scann_process DIRECTORY HANDLE …
               <── rows ───────────────────  a thread for each channel, on one ScannIndex

The child says nothing (an empty message) on the first channel once it can search, or why it cannot. Then a message is a
`_QUESTION` and float32 queries, the answer an `_ANSWER` and int32 rows. The child ends when its channels are closed,
so it never outlives whoever asked.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from atlas.errors import AtlasError, FormatError, ResourceError
from atlas.search.engines.scann import ScannIndex
from atlas.search.exact import EmbeddingArray
from atlas.search.index import IndexDescription, SearchSetting, read_index_description
from atlas.storage.scattered_rows import read_rows

CHANNELS = 8
"""Searches that may be under way at once; others wait for their turn."""

ANSWER_S = 60.0
"""Patience with a search, which takes milliseconds: on a machine that swaps it may take seconds."""

_QUESTION = struct.Struct("=4q")  # queries, numbers in each, leaves, candidates
_ANSWER = struct.Struct("=2q")  # queries, rows for each
_PACKAGES = Path(__file__).resolve().parents[3]


class IndexApart:
    """An opened ScaNN index in a child process. Use `open`."""

    name = "scann"

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        channels: list[Connection],
        description: IndexDescription,
        isolated: NDArray[np.int64],
        embeddings: EmbeddingArray,
    ) -> None:
        self.process_id = process.pid
        self.n_rows = description.n_rows
        self.leaves = description.leaves
        self.isolated = isolated
        self.isolated_embeddings: EmbeddingArray = read_rows(embeddings, isolated)
        self._process = process
        self._free: SimpleQueue[Connection] = SimpleQueue()
        for channel in channels:
            self._free.put(channel)
        # Also when the interpreter ends, and while the child still reads.
        weakref.finalize(self, _stop, process, channels)

    @classmethod
    def open(
        cls, directory: Path, description: IndexDescription, isolated: NDArray[np.int64], embeddings: EmbeddingArray
    ) -> IndexApart:
        """Start the child and wait until it has read the codes; other threads go on meanwhile.

        Raises
        ------
        FormatError
            If ScaNN is not installed, or a file is missing, truncated or foreign.
        ResourceError
            If the child ended before it could search: memory ran out, or ScaNN aborted.
        """
        pairs = [socket.socketpair() for _ in range(CHANNELS)]
        handles = [theirs.fileno() for _, theirs in pairs]
        paths = [str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(  # noqa: S603  our own module, on a folder of the atlas
            [sys.executable, "-m", __name__, str(directory), *map(str, handles)],
            pass_fds=handles,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C is for the server, which ends its child itself
        )
        channels = []
        for ours, theirs in pairs:
            theirs.close()
            channels.append(Connection(ours.detach()))
        index = cls(process, channels, description, isolated, embeddings)
        try:
            refused = channels[0].recv_bytes().decode()
        except (EOFError, OSError) as e:
            status = process.wait()
            raise ResourceError(f"the process that reads {directory} was ended, exit status {status}") from e
        if refused:
            raise FormatError(refused)
        return index

    @property
    def ended(self) -> bool:
        """Whether the child is gone, by no doing of ours: the index has to be opened again."""
        return self._process.poll() is not None

    def candidates(self, queries: NDArray[np.float32], setting: SearchSetting) -> NDArray[np.int64]:
        """See `NeighborIndex.candidates`.

        Raises
        ------
        ResourceError
            If the child is gone, or does not answer: it is ended then, and the index has to be opened again.
        """
        asked = np.ascontiguousarray(queries, dtype=np.float32)
        channel = self._free.get()
        try:
            channel.send_bytes(_QUESTION.pack(*asked.shape, setting.leaves, setting.candidates) + asked.tobytes())
            if not channel.poll(ANSWER_S):
                self._process.kill()  # what it may still say would be taken for the answer to the next question
            answer = channel.recv_bytes()
        except (EOFError, OSError) as e:
            raise ResourceError(f"the process {self.process_id} that holds the neighbour index is gone") from e
        finally:
            self._free.put(channel)
        shape = _ANSWER.unpack_from(answer)
        return np.frombuffer(answer, dtype=np.int32, offset=_ANSWER.size).reshape(shape).astype(np.int64)


def _stop(process: subprocess.Popen[bytes], channels: list[Connection]) -> None:
    process.kill()  # it holds nothing that could be lost
    process.wait()
    for channel in channels:
        channel.close()


def _serve(directory: Path, channels: list[Connection]) -> int:
    """Read an index and answer on all channels until they are closed; the exit status."""
    index, refused = None, ""
    try:
        description = read_index_description(directory)
        # Which rows are isolated concerns the server alone.
        none = np.empty(0, dtype=np.int64), np.empty((0, description.dimensions), dtype=np.float16)
        index = ScannIndex.open(directory, description, *none)
    except AtlasError as e:
        refused = str(e)
    with suppress(OSError):  # whoever waited is gone: the threads will find out
        channels[0].send_bytes(refused.encode())
    if index is None:
        return 1
    threads = [threading.Thread(target=_answer, args=(index, channel)) for channel in channels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0


def _answer(index: ScannIndex, channel: Connection) -> None:
    with suppress(EOFError, OSError):  # closed: nobody asks any more
        while True:
            message = channel.recv_bytes()
            n, dimension, leaves, candidates = _QUESTION.unpack_from(message)
            queries = np.frombuffer(message, dtype=np.float32, offset=_QUESTION.size).reshape(n, dimension)
            found = index.candidates(queries, SearchSetting(leaves, candidates))
            channel.send_bytes(_ANSWER.pack(*found.shape) + found.astype(np.int32).tobytes())


if __name__ == "__main__":
    sys.exit(_serve(Path(sys.argv[1]), [Connection(int(handle)) for handle in sys.argv[2:]]))
