"""The atlas that is served, with its answers kept: masks and results are computed once and shared by every view.

Masks of joined selections are joined from the masks of their parts, each kept by itself: moving one brush evaluates
that one column, not the lasso beside it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec
from flask import g, has_request_context

from atlas import Atlas, Mask, Query, Result
from atlas.catalog.histogram import BitCounts, Histogram
from atlas.catalog.sort_order import Orders, Sorted
from atlas.errors import InputError
from atlas.exports.band_image import BandImages
from atlas.labels.store import Labels, beside
from atlas.planes.plane import Plane
from atlas.queries import planner
from atlas.queries import selection as selections
from atlas.queries.neighbourhoods import Outside, neighbours_outside
from atlas.queries.planner import needs_index
from atlas.queries.price import ALIKE, price, require_affordable
from atlas.queries.query import canonical_query, receipt
from atlas.queries.ranking import ByLabels
from atlas.queries.selection import All, And, Not, Or, Selection, asks_labels, pinned
from atlas.queries.selection_mask import evaluate
from atlas.search.served_index import SearchAwayError

from ..cache.content_store import Kept, name_of, open_kept
from ..cache.results import Cached, cache_key
from ..cutout_services import read_services
from ..jobs.board import open_board
from ..jobs.job import Job, Run
from ..jobs.queue import Jobs
from ..settings import Settings
from ..state import url as links
from ..state.page_state import Axes, State
from ..tracing import tell_slow_question
from .current_build import Builds
from .damage import Damage
from .dear_selections import DearSelections, parts_kept
from .derived import DerivedFiles
from .index_loading import Indexes, LoadingState
from .label_book import LabelBook
from .name_resolver import NameResolver
from .remote_images import open_cutouts

JOB_PATIENCE_S = 0.3  # what is ready by then was no job to whoever asked
MASKS_IN_MEMORY = 8
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Service:
    """Hands out the open atlas and remembers what was asked of it.

    Parameters
    ----------
    settings : Settings
        Names the atlas and its limits.
    cached : Cached
        Where masks and results are kept.
    """

    def __init__(self, settings: Settings, cached: Cached) -> None:
        self.settings = settings
        self._cached = cached
        self._root = Path(settings.atlas)
        self._lock = threading.Lock()
        self._indexes = Indexes()
        self.labels = Labels(settings.labels or beside(self._root))
        self.book = LabelBook(self.labels)
        self._builds = Builds(
            self._root,
            self._indexes,
            self.labels,
            keep_searching=settings.keep_searching,
            search_url=settings.search_url,
        )
        self._masks: OrderedDict[tuple[str, bytes], Mask] = OrderedDict()
        # Kept as long as their build: what is let go must not stay in memory for what was derived from it.
        self._orders: WeakKeyDictionary[Atlas, Orders] = WeakKeyDictionary()
        # Told the operations of each selection before it is evaluated; raises where its visitor has had enough.
        self.spend: Callable[[int], object] = lambda operations: None
        self.damage = Damage(settings.scratch_dir)
        self.kept: Kept = open_kept(settings)
        self.jobs = Jobs(open_board(settings), at_once=settings.jobs_at_once, waiting=settings.jobs_waiting)
        self.names = NameResolver(settings.name_resolver)
        self.cutout_services = read_services(settings.remote_images)
        self.remote_images = open_cutouts(settings)
        place = settings.fits_images
        self.band_images = BandImages(Path(place), settings.scratch_dir) if place else None
        self.dear = DearSelections(self)
        self._derived = DerivedFiles(self.jobs, settings.scratch_dir)

    @property
    def atlas(self) -> Atlas:
        """The build in use; a new one is taken up once its index is in memory (`dashboard.service.current_build`).

        A request keeps the build that it began with: rows and masks of two builds must not meet in one answer.

        Raises
        ------
        FormatError
            If there is no atlas yet.
        DamagedError
            During a request, if files of the build were found to be damaged.
        """
        if not has_request_context():
            return self._builds.current()
        if "atlas" not in g:
            atlas = self._builds.current()
            self.damage.require_whole(atlas.build_id)
            g.atlas = atlas
        kept: Atlas = g.atlas
        return kept

    def see(self, space: str) -> None:
        """Let the rest of this request be about a space of the build; the first where it has none of that name."""
        atlas = self.atlas
        if has_request_context():
            g.atlas = atlas.seen_in(space if space in atlas.space_names else None)

    def start(self) -> None:
        """Open the atlas, so that one that cannot be opened is known, and begin to load its index.

        Raises
        ------
        FormatError
            If there is no atlas to serve.
        """
        self.progress(self._builds.current())

    def build(self, seen: str) -> Atlas:
        """The build that a URL names, in the space that it names, if it is still on disk.

        Raises
        ------
        InputError
            If its folder is gone, or it has no such space.
        """
        build_id, _, space = seen.partition(".")
        return self._build(build_id).seen_in(space)

    def _build(self, build_id: str) -> Atlas:
        current = self.atlas
        if build_id == current.manifest.build_id:
            return current
        self.damage.require_whole(build_id)
        return self._builds.named(build_id)

    def mask(self, selection: Selection, atlas: Atlas | None = None) -> Mask | None:
        """Rows of a selection, exact; None stands for all.

        Raises
        ------
        InputError
            If the selection names what the atlas does not have.
        """
        atlas = atlas or self.atlas
        return self.evaluated(self.canonical(selection), atlas)

    def evaluated(self, selection: Selection, atlas: Atlas) -> Mask | None:
        """As `mask`, of a canonical selection."""
        return self._kept_mask(selection, atlas, lambda one: self._evaluate(one, atlas))

    def _kept_mask(self, selection: Selection, atlas: Atlas, evaluate: Callable[[Selection], Mask]) -> Mask | None:
        if isinstance(selection, All):
            return None
        name = (atlas.build_id, selections.encode_selection(selection))
        with self._lock:
            if name in self._masks:
                self._masks.move_to_end(name)
                return self._masks[name]
        if has_request_context():
            self.dear.require_ready(selection, atlas)
        packed, _ = self._cached.get_or_compute(_mask_key(name), lambda: evaluate(selection).packed)
        with self._lock:
            # One object for all views: what they derive from a mask is kept by its identity.
            mask = self._masks.setdefault(name, Mask(packed, atlas.n_rows))
            while len(self._masks) > MASKS_IN_MEMORY:
                self._masks.popitem(last=False)
        return mask

    def has_mask(self, selection: Selection, atlas: Atlas) -> bool:
        """Whether the mask of a canonical selection is kept."""
        name = (atlas.build_id, selections.encode_selection(selection))
        with self._lock:
            if name in self._masks:
                return True
        return self._cached.holds(_mask_key(name))

    def canonical(self, selection: Selection) -> Selection:
        """The one form of equal selections: labels at the revision that they have now, which answers are kept by.

        Everything that a visitor asks passes here, so this is where too dear a selection is refused. A request makes
        each form once.
        """
        made: dict[Selection, Selection] = g.setdefault("canonical", {}) if has_request_context() else {}
        if selection not in made:
            form = selections.canonical(selection)
            require_affordable(form, self.atlas.n_rows, self.settings.max_operations)
            form = pinned(form, self.book.newest) if asks_labels(form) else form
            made[selection] = made[form] = form
        return made[selection]

    def pinned(self, query: Query) -> Query:
        """The one form of equal queries, labels as of now."""
        query = canonical_query(query, self.canonical)
        if isinstance(query.ranking, ByLabels) and not query.ranking.revision:
            pinned_ranking = msgspec.structs.replace(query.ranking, revision=self.labels.revision())
            query = msgspec.structs.replace(query, ranking=pinned_ranking)
        return query

    def _evaluate(self, selection: Selection, atlas: Atlas) -> Mask:
        """A mask from those of its parts; the dearest of them are kept, so that one visitor fills no disk."""
        self.spend(price(selection, atlas.n_rows))
        match selection:
            case And(of) | Or(of):
                kept = parts_kept(selection, atlas.n_rows)
                masks = (self.part(one, atlas) if one in kept else evaluate(atlas, one) for one in of)
                return reduce(Mask.__and__ if isinstance(selection, And) else Mask.__or__, masks)
            case Not(of) if not isinstance(of, All):
                return ~self.part(of, atlas)
        return evaluate(atlas, selection)

    def part(self, selection: Selection, atlas: Atlas) -> Mask:
        """Mask of a part of a canonical selection, kept by itself."""
        mask = self._kept_mask(selection, atlas, lambda one: evaluate(atlas, one))
        return evaluate(atlas, All()) if mask is None else mask

    def histogram(self, column: str, selection: Selection | None, atlas: Atlas) -> Histogram:
        """Histogram of a column over a selection (None: all rows), exact."""
        selection = All() if selection is None else self.canonical(selection)
        key = cache_key(atlas.build_id, "histogram", column, selections.encode_selection(selection).decode())
        return self._cached.answer(
            key, lambda: atlas.histograms.get(column, self.evaluated(selection, atlas)), Histogram
        )

    def bits(self, column: str, selection: Selection | None, atlas: Atlas) -> BitCounts:
        """Counts of the set bits of a flags column in a selection (None: all rows), exact."""
        selection = All() if selection is None else self.canonical(selection)
        key = cache_key(atlas.build_id, "bits", column, selections.encode_selection(selection).decode())
        return self._cached.answer(
            key, lambda: atlas.histograms.bits(column, self.evaluated(selection, atlas)), BitCounts
        )

    def outside(self, selection: Selection, atlas: Atlas) -> Outside | None:
        """Neighbours that a selection leaves out; None where nothing is selected."""
        selection = self.canonical(selection)
        mask = self.evaluated(selection, atlas)
        if mask is None or mask.count == 0:
            return None
        key = cache_key(atlas.build_id, "outside", selections.encode_selection(selection).decode())
        return self._cached.answer(key, lambda: neighbours_outside(atlas.space(), mask), Outside)

    @property
    def orders(self) -> Orders:
        """Sort orders of the build in use."""
        atlas = self.atlas
        with self._lock:
            if atlas not in self._orders:
                self._orders[atlas] = Orders(
                    atlas.columns(atlas.default_space), atlas.build_id, atlas.n_rows, self.settings.scratch_dir
                )
            return self._orders[atlas]

    def link(self, state: State) -> str:
        """Name of a state in a URL: the state itself, or its hash where it is long."""
        return links.to_link(state, self.kept, self.settings.max_state_bytes)

    def remember(self, selection: Selection, atlas: Atlas) -> str:
        """A short name of a selection, for addresses of pictures that show it."""
        text = selections.encode_selection(self.canonical(selection)).decode()
        name = name_of(text.encode())
        self._cached.get_or_compute(cache_key(atlas.build_id, "selection", name), lambda: text)
        return name

    def recall(self, name: str, atlas: Atlas) -> Selection:
        """The selection of a name.

        Raises
        ------
        InputError
            If it was not remembered here, or long ago.
        """

        def missing() -> str:
            raise InputError("this picture's selection is no longer known; reload the page")

        text, _ = self._cached.get_or_compute(cache_key(atlas.build_id, "selection", name), missing)
        selection: Selection = msgspec.json.decode(text, type=Selection)
        return selection

    def plane(self, axes: Axes | None, atlas: Atlas | None = None) -> Plane:
        """The plane that the map's panel shows.

        Raises
        ------
        UnderWayError
            While two columns are still being put in order.
        InputError
            If the atlas has no such columns, or no galaxy has a value of both.
        """
        atlas = atlas or self.atlas
        return atlas.space().plane if axes is None else self._derived.plane(atlas, axes)

    def require_order(self, column: Sorted, descending: bool, mask: Mask | None) -> None:
        """Refuse, for now, to read a selection in the order of a column that is still being sorted.

        Raises
        ------
        UnderWayError
            With the job that sorts it.
        InputError
            If the atlas has no such column, or its disk no room.
        """
        self._derived.require_order(self.orders, self.atlas, column, descending, mask)

    def run(self, query: Query, atlas: Atlas | None = None) -> Result | None:
        """Answer of a query, from the cache where the same question was asked before.

        None where only the index can answer and it is not in memory: `progress` says why. Nobody waits for it here.

        Raises
        ------
        InputError
            If the query names what the atlas does not have.
        """
        atlas = atlas or self.atlas
        query = self.pinned(query)
        mask = self.evaluated(query.selection, atlas)

        def search() -> Result:
            begun = time.perf_counter()
            if needs_index(query, mask) and self.progress(atlas) != "ready":
                result = self._scan(atlas, query, mask)
            else:
                try:
                    result = planner.run(atlas, query, mask)
                except SearchAwayError as error:
                    _log.warning("%s", error)
                    result = self._scan(atlas, query, mask)
            if (seconds := time.perf_counter() - begun) > self.settings.slow_s:
                tell_slow_question(result.receipt, seconds)
            return result

        name = msgspec.json.encode(query, order="deterministic").decode()
        try:
            return self._cached.answer(cache_key(atlas.build_id, "result", name), search, Result)
        except _NotLoadedError:
            return None

    def _scan(self, atlas: Atlas, query: Query, mask: Mask | None) -> Result:
        """Exact answer in place of a search server that is away, where that takes no longer than a request."""
        if atlas.space(query.space).served is None or atlas.n_rows * ALIKE >= self.settings.job_operations:
            raise _NotLoadedError
        result = planner.run(atlas, msgspec.structs.replace(query, exact=True), mask)
        return msgspec.structs.replace(result, receipt=receipt(atlas.build_id, query, planner.settings_of(query)))

    def remembered(self, kind: str, request: str, compute: Callable[[], T]) -> T:
        """A small answer of a build, computed once for all who ask: of what `dashboard.cache.codec.encode` takes."""
        return self._cached.get_or_compute(cache_key(self.atlas.build_id, kind, request), compute)[0]

    def later(
        self,
        kind: str,
        request: str,
        compute: Callable[[Run], T],
        of: type[T],
        *,
        title: str,
        atlas: Atlas | None = None,
    ) -> T | Job:
        """An answer that takes longer than a request: itself where it is kept or ready within a moment, else its job.

        The page shows a job by `views.jobs.job_card` and asks again when it has ended (`job-ended`).

        Parameters
        ----------
        kind, request : str
            What is asked, in canonical form: equal requests of a build are one job, and have one answer.
        compute : callable
            Makes the answer; tells `run.progress(done, total)` at least every 0.2 s.
        of : type
            Of the answer, as of `Cached.answer`.
        title : str
            What the job does, for people.
        """
        build = (atlas or self.atlas).build_id
        key = cache_key(build, kind, request)

        def work(run: Run) -> None:
            self._cached.answer(key, lambda: compute(run), of)
            if self._cached.stored(key, of) is None:
                raise InputError("what the job found could not be kept: the server's disk or cache is full")

        found = self._cached.stored(key, of)
        if found is not None:
            return found
        job = self.jobs.submit(key, kind, title, work)
        job = self.jobs.wait(key, JOB_PATIENCE_S) or job
        found = self._cached.stored(key, of) if job.phase == "done" else None
        return job if found is None else found

    def progress(self, atlas: Atlas) -> LoadingState:
        """Progress of the index of a build."""
        return self._indexes.progress(atlas)

    def ready(self) -> dict[str, Any]:
        """Whether searches can be answered; an index that could not be loaded is tried again.

        Raises
        ------
        AtlasError
            If the atlas cannot be opened.
        """
        atlas = self.atlas
        self._indexes.start(atlas)
        return {"ready": self.progress(atlas) == "ready", "build": atlas.build_id, "galaxies": atlas.n_rows}


def _mask_key(name: tuple[str, bytes]) -> str:
    return cache_key(name[0], "mask", name[1].decode())


class _NotLoadedError(Exception):
    """A query needs the index, which is not in memory: nothing to keep, and no failure."""
