"""Positions as people write them: read, and written.

Read are degrees (`53.1625 -27.7914`, parted by blanks, a comma or a semicolon), hours and degrees (`03:32:38.5
-27:47:00`, `12h30m49s +12d23m`, `12 30 49.4 +12 23 28`, `3ʰ32ᵐ38.5ˢ −27°47′`) and names of the IAU
(`SDSS J033238.50-274700.0`). The grammar is our own because `astropy.coordinates.Angle` accepts 60 seconds with a
warning and does not say which half of a text is wrong; the tests compare the two.
"""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple

from atlas.errors import CoordinateError, shorten

MAX_LENGTH = 100
ACCEPTED = (
    "a position is RA and Dec, such as 53.1625 -27.7914 (degrees), 03:32:38.5 -27:47:00, "
    "12h30m49s +12d23m28s or J033238.50-274700.0"
)

POSITION_NAMES = (
    ("ra", "dec"),
    ("ra_deg", "dec_deg"),
    ("radeg", "decdeg"),
    ("radeg", "dedeg"),
    ("_raj2000", "_dej2000"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("ra_j2000", "dec_j2000"),
    ("ra_icrs", "de_icrs"),
    ("ra_icrs", "dec_icrs"),
    ("alpha_j2000", "delta_j2000"),
    ("alphawin_j2000", "deltawin_j2000"),
    ("target_ra", "target_dec"),
    ("ramean", "decmean"),
    ("coord_ra", "coord_dec"),
    ("right_ascension", "declination"),
    ("alpha", "delta"),
)
"""Columns of RA and Dec as surveys call them, in lower case; the first pair of which a table has both is taken."""

_ALIKE = {"h": "hʰ", "m": "mᵐ′’'", "s": 'sˢ″”"', "d": "d°º", "-": "-−–‐‑", "+": "+＋"}
_PLAIN = str.maketrans({sign: plain for plain, signs in _ALIKE.items() for sign in signs})
_NUMBER = r"[0-9]+\.?[0-9]*|\.[0-9]+"
# A sign, then up to three numbers, with letters, colons or blanks between.
_ANGLE = re.compile(rf"([+-]?)\s*({_NUMBER})\s*([hd:]?)\s*(?:({_NUMBER})\s*[m:]?\s*)?(?:({_NUMBER})\s*s?)?")
_IAU = re.compile(r"(?:\S+\s+)?J(\d\d)(\d\d)(\d\d(?:\.\d*)?)([+-])(\d\d)(\d\d)(\d\d(?:\.\d*)?)", re.ASCII)


class _Angle(NamedTuple):
    """One half as it was read: "+", "-" or ""; one to three numbers; "h" where they are hours."""

    sign: str
    numbers: list[str]
    unit: Literal["h", "d"]

    @property
    def is_integer(self) -> bool:
        return len(self.numbers) == 1 and self.numbers[0].isdecimal()

    def degrees(self) -> float:
        whole, *parts = self.numbers
        value = sum((float(part) / 60**power for power, part in enumerate(parts, start=1)), start=float(whole))
        return (-1 if self.sign == "-" else 1) * value * (15 if self.unit == "h" else 1)


def parse_position(text: str) -> tuple[float, float]:
    """Read a position.

    Parameters
    ----------
    text : str
        In any of the forms above. RA may be −180 … 180 or 0 … 360 degrees.

    Returns
    -------
    ra_deg, dec_deg : float
        RA in 0 … 360, 360 excluded.

    Raises
    ------
    CoordinateError
        If it is not a position; says what is allowed.
    """
    halves = _read(text)
    if halves is None:
        raise CoordinateError(f"{shorten(text)!r} is not a position: {ACCEPTED}")
    for name, angle in zip(("RA", "Dec"), halves, strict=True):
        if any("." in number for number in angle.numbers[:-1]):
            raise CoordinateError(f"only the last number of {name} may have decimals, unlike in {shorten(text)!r}")
        for part, number in zip(("minutes", "seconds"), angle.numbers[1:], strict=False):
            if float(number) >= 60:
                raise CoordinateError(
                    f"the {part} of {name} must be below 60, not {shorten(number)} (in {shorten(text)!r})"
                )
    ra, dec = (angle.degrees() for angle in halves)
    understood = f"{shorten(text)!r} is read as RA {_plain(halves[0])}, Dec {_plain(halves[1])}"
    if not -180 <= ra <= 360:
        hours = f" ({float(halves[0].numbers[0]):g} hours; a turn has 24)" if halves[0].unit == "h" else ""
        raise CoordinateError(f"{understood}: RA must lie in 0…360 (or −180…180) degrees, not {ra:g}{hours}")
    if not -90 <= dec <= 90:
        swapped = "; RA comes first, then Dec" if abs(ra) <= 90 and -180 <= dec <= 360 else ""
        raise CoordinateError(f"{understood}: Dec must lie in −90…90 degrees, not {dec:g}{swapped}")
    return ra % 360 % 360, dec  # twice, since the remainder of −1e-20 is 360


def slip(text: str) -> str:
    """Fault of a text that has the form of a position but is none; empty for any other."""
    if _read(text) is None:
        return ""
    try:
        parse_position(text)
    except CoordinateError as wrong:
        return str(wrong)
    return ""


def _plain(angle: _Angle) -> str:
    """An angle as it was understood: `12h 61m`, `-95°`."""
    signs = ("h", "m", "s") if angle.unit == "h" else ("°", "′", "″")
    sign = "−" if angle.sign == "-" else ""
    return sign + " ".join(f"{shorten(number, 20)}{unit}" for number, unit in zip(angle.numbers, signs, strict=False))


def looks_like_position(text: str) -> bool:
    """Whether a text is meant as a position rather than as a galaxy's id.

    A position with a slip in it (Dec 95, 61 seconds) still is one, and `parse_position` says what is wrong with it;
    two whole numbers that cannot be degrees are an id.
    """
    halves = _read(text)
    if halves is None:
        return False
    ra, dec = halves
    return not (ra.is_integer and dec.is_integer) or (abs(ra.degrees()) <= 360 and abs(dec.degrees()) <= 90)


def format_position(
    ra_deg: float, dec_deg: float, style: Literal["deg", "sexagesimal"] = "deg", digits: int | None = None
) -> str:
    """Write a position, rounded, so that `parse_position` reads it.

    Parameters
    ----------
    ra_deg, dec_deg : float
        In degrees.
    style : {"deg", "sexagesimal"}
        `53.160417 -27.783333` or `03:32:38.50 -27:47:00.0`.
    digits : int, optional
        Decimals: of degrees (6 by default), or of the seconds of Dec (1 by default); the seconds of RA get one more.
    """
    if style == "deg":
        digits = 6 if digits is None else digits
        return f"{round(ra_deg, digits) % 360:.{digits}f} {dec_deg:+z.{digits}f}"
    digits = 1 if digits is None else digits
    hours = round(ra_deg * 240 * 10 ** (digits + 1)) % (86_400 * 10 ** (digits + 1))
    arcsec = round(abs(dec_deg) * 3600 * 10**digits)
    sign = "-" if dec_deg < 0 and arcsec else "+"
    return f"{':'.join(base_60(hours, digits + 1))} {sign}{':'.join(base_60(arcsec, digits))}"


def iau_name(ra_deg: float, dec_deg: float) -> str:
    """Designation by position, `J033238.50-274700.0`: cut off, not rounded, as the IAU demands.

    A millionth of the last digit is forgiven, since 38.50 s in degrees is a binary number a little below it.
    """
    ra = math.floor(ra_deg % 360 * 240 * 100 + 1e-6) % (86_400 * 100)
    dec = math.floor(abs(dec_deg) * 3600 * 10 + 1e-6)
    return f"J{''.join(base_60(ra, 2))}{'-' if dec_deg < 0 else '+'}{''.join(base_60(dec, 1))}"


def base_60(units: int, digits: int) -> tuple[str, str, str]:
    """Hours (or degrees), minutes and seconds of a whole number of 10**−digits seconds; integers never print 60."""
    seconds, fraction = divmod(units, 10**digits)
    minutes, seconds = divmod(seconds, 60)
    whole, minutes = divmod(minutes, 60)
    decimals = f".{fraction:0{digits}d}" if digits else ""
    return f"{whole:02d}", f"{minutes:02d}", f"{seconds:02d}{decimals}"


def _read(text: str) -> tuple[_Angle, _Angle] | None:
    """Both halves of a text that has the form of a position."""
    if len(text) > MAX_LENGTH:
        return None
    named = _IAU.fullmatch(text.translate(_PLAIN).strip())
    if named:
        numbers = list(named.groups())
        return _Angle("", numbers[:3], "h"), _Angle(numbers[3], numbers[4:], "d")
    text = text.translate(_PLAIN).strip().replace("deg", "d")
    halves = _split(text)
    if halves is None:
        return None
    ra, dec = (_ANGLE.fullmatch(half.strip()) for half in halves)
    if not ra or not dec or dec[3] == "h":
        return None
    ra_numbers, dec_numbers = ([n for n in (half[2], half[4], half[5]) if n is not None] for half in (ra, dec))
    hours = ra[3] == "h" or (len(ra_numbers) > 1 and ra[3] != "d")
    return _Angle(ra[1], ra_numbers, "h" if hours else "d"), _Angle(dec[1], dec_numbers, "d")


def _split(text: str) -> tuple[str, str] | None:
    """RA and Dec: parted by a comma or semicolon, else by the sign of Dec, else in the middle of the numbers."""
    parts = re.split(r"[,;]", text)
    if len(parts) > 1:
        return (parts[0], parts[1]) if len(parts) == 2 else None
    sign = max(text.rfind("+"), text.rfind("-"))
    if sign > 0:
        # Without a blank, 330012-1234 is an id; 03:32:38-27:47:00 can only be a position.
        clear = text[sign - 1].isspace() or re.search(r"[:hd.\s]", text[:sign].strip())
        return (text[:sign], text[sign:]) if clear else None
    words = text.split()
    middle = len(words) // 2
    return (" ".join(words[:middle]), " ".join(words[middle:])) if words and len(words) % 2 == 0 else None
