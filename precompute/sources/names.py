"""Names that a file gives twice, and the words by which files of text say that there is no value."""

from __future__ import annotations

from collections.abc import Sequence

# Compared in lower case, without spaces around.
MISSING_WORDS = frozenset(
    ("", "-", "--", "---", "null", "n/a", "#n/a", "<na>", "none", "nan", r"\n", "(null)", "masked")
)


def unique_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of which none occurs twice: the second `mag` becomes `mag_2`, a nameless one `column_3` after its place.

    Returns
    -------
    unique : list of str
        As many, in the same order.
    notes : list of str
        What was renamed.
    """
    taken = set(names)
    seen: set[str] = set()
    unique, told = [], []
    for place, name in enumerate(names, start=1):
        new = name or f"column_{place}"
        number = 1
        while new in seen or (new != name and new in taken):
            number += 1
            new = f"{name or 'column'}_{number if name else place * number}"
        seen.add(new)
        unique.append(new)
        if new != name:
            told.append(f"{name!r} (column {place}) is called {new!r}")
    return unique, [f"column names occur more than once or are empty: {', '.join(told)}"] if told else []
