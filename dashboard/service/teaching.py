"""Labels that order the gallery: those that are wanted, and the revision at which they are taken."""

from __future__ import annotations

from atlas.errors import InputError
from atlas.queries.by_labels import taught_by
from atlas.queries.ranking import ByLabels, LabelMode

from ..state.page_state import Teaching
from .atlas_service import Service

USUALLY_WANTED = "interesting"
NO_LABELS = "no galaxy has a label yet: give some first, by the keys 1 to 9 (N), then order by them"


def teaching_of(service: Service, before: Teaching | None, wanted: tuple[str, ...], mode: LabelMode | None) -> Teaching:
    """Teaching of the labels by now: the wanted ones as they are named, as before, or "interesting", or those of the
    lowest key.

    Raises
    ------
    InputError
        If there are none of them, or none besides where both are needed.
    """
    atlas = service.atlas
    counts = atlas.labelled.now().counts()
    if not counts:
        raise InputError(NO_LABELS)
    keyed = [label for _, label in sorted(service.book.known(fresh=True).classes.items()) if label in counts]
    usual = USUALLY_WANTED if USUALLY_WANTED in counts else [*keyed, *sorted(counts)][0]
    chosen = wanted or (() if before is None else before.wanted) or (usual,)
    found = Teaching(chosen, mode or (before.mode if before else "like"), atlas.labelled.now().revision)
    taught = taught_by(atlas, ByLabels(found.wanted, found.mode, found.revision))
    if not taught.wanted.size:
        raise InputError(f"no galaxy of this atlas is labelled {' or '.join(found.wanted)}: label some first")
    if found.mode == "uncertain" and not taught.others.size:
        raise InputError("every labelled galaxy is wanted: label some that are not, to see where the two part")
    return found
