"""Every setting of the dashboard, and every limit that protects its server, in one table.

A setting `name` is read from the environment variable `GALAXY_FINDER_NAME`. `load` checks each against its type and
bounds and refuses names it does not know, so that a misspelt limit is not silently the default. `document` renders the
table for docs/serving.md, and a test holds the two together.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from atlas.errors import InputError, shorten
from atlas.exports.image_chunks import ENDINGS as CHUNK_ENDINGS

from .cutout_services import FORM, read_services
from .hips_services import HIPS_FORM, read_hips
from .setting_words import allowed, meta_of, text_of
from .sky_services import SKY_FORM, read_sky_services

PREFIX = "GALAXY_FINDER_"
SHORTEST_TOKEN = 16
SHORTEST_KEY = 32

# What hosting platforms set by convention; our own name wins where both are given. HOST is not among them: some shells
# set it to the machine's name.
CONVENTIONAL = {"PORT": "port", "WEB_CONCURRENCY": "workers"}


LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table. Each row's default, bounds and meaning stand together; `load` fills it from the environment."""

    # Serving
    atlas: Annotated[Path, Meta(description="The atlas that is served.")] = Path("data/xdf")
    host: Annotated[str, Meta(min_length=1, description="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8050
    workers: Annotated[int, Meta(ge=1, le=64, description="Processes; each opens the atlas for itself.")] = 1
    threads: Annotated[int, Meta(ge=1, le=64, description="Threads in each process.")] = 8
    timeout_s: Annotated[int, Meta(ge=5, le=3600, description="A silent process is replaced after this long.")] = 60
    keep_searching: Annotated[
        bool,
        Meta(
            description="Answer from the build before while a new one's index is read, with both in memory; "
            "false: one at a time, and search is loading meanwhile."
        ),
    ] = True
    access_log: Annotated[bool, Meta(description="Log each request.")] = False
    log_format: Annotated[
        Literal["text", "json"],
        Meta(description="Lines for people, or an object a line with the id of its request."),
    ] = "text"
    slow_s: Annotated[
        float, Meta(gt=0, le=3_600, description="Requests and questions that take longer are logged, in seconds.")
    ] = 3.0
    metrics: Annotated[
        bool, Meta(description="Whether /metrics tells Prometheus figures; not to requests that came through a proxy.")
    ] = False
    trust_proxy: Annotated[
        int, Meta(ge=0, le=5, description="Proxies in front whose X-Forwarded headers are believed.")
    ] = 0
    allowed_hosts: Annotated[
        tuple[str, ...], Meta(description="Host names that are answered, separated by commas; empty answers any.")
    ] = ()

    plotly_bundle: Annotated[
        str,
        Meta(
            title="a path",
            description="plotly-strict.min.js of npm's plotly.js-strict-dist-min: the page's policy then forbids eval; "
            "empty: what plotly's wheel carries, which needs it.",
        ),
    ] = ""

    # Cache
    cache_type: Annotated[
        Literal["FileSystemCache", "RedisCache"],
        Meta(description="Where computed results are kept; Redis where several machines share them."),
    ] = "FileSystemCache"
    cache_dir: Annotated[Path, Meta(description="Folder of FileSystemCache, of mode 0700, used by nothing else.")] = (
        Path(".cache/dashboard")
    )
    redis_url: Annotated[
        str,
        Meta(
            pattern="^(redis|rediss|unix)://",
            title="an address that starts with redis://, rediss:// or unix://",
            description="Server of RedisCache.",
        ),
    ] = "redis://127.0.0.1:6379/0"
    cache_entries: Annotated[int, Meta(ge=10, le=1_000_000, description="Results that FileSystemCache keeps.")] = 5_000
    cache_bytes: Annotated[
        int, Meta(ge=1_000_000, description="Bytes that FileSystemCache keeps; Redis has its own maxmemory.")
    ] = 2_000_000_000
    cache_seconds: Annotated[int, Meta(ge=1, le=31_536_000, description="Age at which a result is dropped.")] = 604_800
    cache_wait_s: Annotated[
        int, Meta(ge=1, le=3600, description="How long a request waits for an equal one that is under way.")
    ] = 60

    kept_dir: Annotated[
        Path, Meta(description="Folder, of mode 0700, of states that are too long for a link; its links live as long.")
    ] = Path(".cache/kept")
    kept_entries: Annotated[int, Meta(ge=100, le=10_000_000, description="Long states that are kept.")] = 100_000
    scratch_dir: Annotated[
        Path, Meta(description="Folder of planes and sort orders that visitors asked for; may be emptied at any time.")
    ] = Path(".cache/scratch")

    labels: Annotated[
        str,
        Meta(
            title="a path, or postgresql://…",
            description="Where labels and collections are kept; empty: labels.sqlite in the folder of the atlas.",
        ),
    ] = ""

    search_url: Annotated[
        str,
        Meta(
            pattern="^((https?|postgresql)://.+)?$",
            title="http://…, https://… or postgresql://…",
            description="Milvus, or PostgreSQL with pgvector, that `precompute fill` filled and that searches; empty: "
            "the index of the atlas.",
        ),
    ] = ""

    scrub_mb_per_s: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="How fast the files of the build in use are compared with their hashes, once a day, by one "
            "process of the machine; 0 never looks.",
        ),
    ] = 20

    # Requests
    max_body_bytes: Annotated[int, Meta(ge=1_024, le=100_000_000, description="Largest request body.")] = 262_144
    max_list_bytes: Annotated[
        int, Meta(ge=1_024, le=100_000_000, description="Largest list of galaxies that a visitor may bring.")
    ] = 2_097_152
    max_json_depth: Annotated[int, Meta(ge=8, le=200, description="Deepest nesting in a request body.")] = 32
    max_pattern_ids: Annotated[
        int, Meta(ge=10, le=10_000, description="Components that one wildcard of a callback may stand for.")
    ] = 500
    max_text: Annotated[int, Meta(ge=50, le=10_000, description="Characters of a typed position, id or name.")] = 200
    max_state_bytes: Annotated[
        int, Meta(ge=500, le=8_000, description="Longest state in a URL; a request line ends at 8,190.")
    ] = 6_000

    # Jobs
    jobs_at_once: Annotated[int, Meta(ge=1, le=16, description="Long jobs that a process runs at once.")] = 2
    jobs_waiting: Annotated[int, Meta(ge=1, le=1_000, description="Long jobs that may wait in a process.")] = 32

    downloads_at_once: Annotated[
        int, Meta(ge=1, le=64, description="Downloads under way in a process; each holds one of its threads.")
    ] = 2

    # Who may do what
    user_header: Annotated[
        str,
        Meta(
            pattern="^([A-Za-z][A-Za-z0-9-]*)?$",
            title="the name of a header",
            description="Header in which the proxy in front says who has signed in, such as X-Remote-User; whoever has "
            "none is refused. Empty: nobody signs in.",
        ),
    ] = ""
    openid_issuer: Annotated[
        str,
        Meta(
            pattern="^(https?://.+)?$",
            title="an address that starts with https://",
            description="OpenID Connect provider that visitors sign in with; empty: nobody signs in.",
        ),
    ] = ""
    openid_client_id: Annotated[str, Meta(description="Name of this server at the provider.")] = ""
    openid_client_secret: Annotated[str, Meta(description="Its secret there; empty for a public client.")] = ""
    openid_claim: Annotated[
        Literal["email", "preferred_username", "sub"],
        Meta(description="What of a visitor's token is their name here, in `labellers` and on labels."),
    ] = "email"
    session_key: Annotated[
        str, Meta(description="At least 32 random characters, the same on all machines: signs the cookies of sessions.")
    ] = ""
    session_hours: Annotated[int, Meta(ge=1, le=720, description="How long a visitor stays signed in.")] = 12
    labellers: Annotated[
        tuple[str, ...], Meta(description="Who may label and keep collections; empty: all who may look.")
    ] = ()
    api: Annotated[bool, Meta(description="Whether programs may ask at /api/v1, as a notebook does.")] = False
    api_tokens: Annotated[
        tuple[str, ...], Meta(description="Tokens of these programs; empty: whoever may look may ask there.")
    ] = ()

    # What a visitor may have in a minute
    visitor_requests: Annotated[
        int, Meta(ge=0, description="Requests of one visitor in a minute, images too; 0 counts none, 1200 suits most.")
    ] = 0
    visitor_operations: Annotated[
        int,
        Meta(
            ge=0,
            description="Operations of one visitor's selections in a minute; 0 counts none, 30000000000 is half "
            "a core.",
        ),
    ] = 0
    visitor_bytes: Annotated[
        int,
        Meta(
            ge=0, description="Bytes sent to one visitor in a minute, downloads too; 0 counts none, 500000000 is much."
        ),
    ] = 0

    # Views
    points_per_view: Annotated[int, Meta(ge=100, le=200_000, description="Points drawn in one graph.")] = 20_000
    table_rows: Annotated[
        int,
        Meta(ge=100, le=100_000, description="Rows of a table ordered by similarity; other orders have all."),
    ] = 10_000
    table_page: Annotated[int, Meta(ge=10, le=1_000, description="Most rows that a table asks for at once.")] = 500
    gallery_max: Annotated[int, Meta(ge=16, le=1000, description="Images in the gallery at most.")] = 1000
    max_raster_pixels: Annotated[
        int, Meta(ge=10_000, le=20_000_000, description="Pixels of a density raster or sky picture.")
    ] = 4_000_000

    # Selections and queries
    max_operations: Annotated[
        int,
        Meta(
            ge=1_000_000,
            description="Comparisons and sums, about a nanosecond of a core each, that one selection may take; "
            "a dearer one is refused before it runs.",
        ),
    ] = 5_000_000_000
    job_operations: Annotated[
        int,
        Meta(
            ge=1_000,
            description="Operations from which on a selection is a job, which its visitor can follow and end, rather "
            "than part of a request.",
        ),
    ] = 300_000_000
    max_polygon_vertices_received: Annotated[
        int, Meta(ge=3, le=100_000, description="Vertices of a lasso as it arrives.")
    ] = 2_000
    max_examples: Annotated[int, Meta(ge=1, le=50, description="Wanted and unwanted examples of a search.")] = 50
    nearest_radius_arcsec: Annotated[
        float, Meta(gt=0, le=3_600, description="A typed position takes the nearest galaxy within this radius, arcsec.")
    ] = 10.0
    nearest_search_arcsec: Annotated[
        float,
        Meta(gt=0, le=648_000, description="How far the nearest galaxy is looked for, to say where it is, arcsec."),
    ] = 36_000.0

    # Other programs
    name_resolver: Annotated[
        str,
        Meta(
            pattern="^(astropy|off|https?://.+)$",
            title="astropy, off, or an address that starts with http:// or https://",
            description="Who is asked for names beyond NGC, IC and Messier: the Sesame services that astropy knows, "
            "nobody, or a Sesame of your own.",
        ),
    ] = "astropy"
    remote_images: Annotated[
        tuple[str, ...],
        Meta(
            title=FORM,
            description="Services that send cut-outs of the sky and may be asked by this server, for images that the "
            "atlas lacks or by choice; empty: nobody is asked.",
        ),
    ] = ()
    sky_images: Annotated[
        tuple[str, ...],
        Meta(
            title=SKY_FORM,
            description="Services that send pictures of the sky (hips2fits) and may be asked by this server for what "
            "lies behind the points, by choice; empty: nobody is asked.",
        ),
    ] = ()
    fits_images: Annotated[
        str,
        Meta(
            title="a path",
            description="Folder of images in their own bands, which the details offer as FITS: FITS files called by "
            "the ids of galaxies (`ID.fits`, `.fits.fz` …), HDF5 chunks, or one such chunk; empty: none.",
        ),
    ] = ""
    aladin_lite: Annotated[
        str,
        Meta(
            title="a path",
            description="aladin.js of npm's aladin-lite, or the folder it was unpacked into: the page then offers it; "
            "empty: it does not.",
        ),
    ] = ""
    aladin_hips: Annotated[
        tuple[str, ...],
        Meta(title=HIPS_FORM, description="Surveys in tiles that Aladin Lite may show; visitors' browsers ask them."),
    ] = ()
    remote_images_bytes: Annotated[
        int, Meta(ge=1_000_000, description="Bytes of all these pictures that are kept, for as long as other results.")
    ] = 500_000_000
    samp: Annotated[
        bool, Meta(description="Whether this server speaks SAMP to TOPCAT, Aladin, DS9; on your own machine, alone.")
    ] = False
    samp_web: Annotated[
        bool,
        Meta(description="Else, over http, whether the page may speak to a SAMP hub of its visitor's (web profile)."),
    ] = True
    cone_search_deg: Annotated[
        float, Meta(gt=0, le=180, description="Largest radius that the cone search answers, degrees.")
    ] = 10.0
    cone_search_rows: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Most galaxies that the cone search returns, nearest first.")
    ] = 10_000

    def __post_init__(self) -> None:
        read_services(self.remote_images)
        read_sky_services(self.sky_images)
        read_hips(self.aladin_hips)
        place = Path(self.fits_images)
        if self.fits_images and not (place.is_dir() or (place.is_file() and place.suffix.lower() in CHUNK_ENDINGS)):
            told = f"{variable('fits_images')} is {shorten(self.fits_images)}"
            raise InputError(f"{told}: allowed is a folder, or a file that ends with {' or '.join(CHUNK_ENDINGS)}")
        if self.user_header and not self.trust_proxy:
            raise InputError(
                f"{variable('user_header')} is {self.user_header}: allowed only with {variable('trust_proxy')}, since "
                "anybody can send a header where no proxy removes it"
            )
        if self.samp and (self.host not in LOOPBACK or self.workers > 1 or self.trust_proxy):
            raise InputError(
                f"{variable('samp')} is for a server on your own machine: allowed with {variable('host')}=127.0.0.1, "
                "one process and no proxy"
            )
        if self.user_header and self.openid_issuer:
            raise InputError(f"{variable('user_header')} and {variable('openid_issuer')}: allowed is one of them")
        if self.openid_issuer and not (self.openid_client_id and len(self.session_key) >= SHORTEST_KEY):
            raise InputError(
                f"{variable('openid_issuer')} needs {variable('openid_client_id')}, and {variable('session_key')} of "
                f"at least {SHORTEST_KEY} characters"
            )
        if self.labellers and not (self.user_header or self.openid_issuer):
            raise InputError(
                f"{variable('labellers')} needs {variable('user_header')} or {variable('openid_issuer')}, which say "
                "who is who"
            )
        if any(len(token) < SHORTEST_TOKEN for token in self.api_tokens):
            raise InputError(f"{variable('api_tokens')}: a token has at least {SHORTEST_TOKEN} characters")
        if self.nearest_radius_arcsec > self.nearest_search_arcsec:
            raise InputError(
                f"{variable('nearest_radius_arcsec')} is {self.nearest_radius_arcsec}: allowed is at most "
                f"{variable('nearest_search_arcsec')}, which is {self.nearest_search_arcsec}"
            )


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def load(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read the settings.

    Parameters
    ----------
    environ : mapping of str to str, optional
        The environment; `os.environ` when not given.
    **overrides
        Values that win over the environment, by setting name; None stands for not given. Checked like the rest.

    Raises
    ------
    InputError
        A value is not allowed, or a variable with our prefix is not a setting. Names variable, value and allowed ones.
    """
    environ = os.environ if environ is None else environ
    types = _types()
    values: dict[str, object] = {}
    for name, field in CONVENTIONAL.items():
        if environ.get(name):
            values[field] = _convert(name, environ[name], types[field])
    for name, text in environ.items():
        if not name.startswith(PREFIX):
            continue
        field = name.removeprefix(PREFIX).lower()
        if field not in types:
            near = difflib.get_close_matches(name, [variable(known) for known in types], n=1)
            raise InputError(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
        values[field] = _convert(name, text, types[field])
    for field, value in overrides.items():
        if value is not None:
            values[field] = _convert(variable(field), value, types[field])
    return Settings(**values)  # type: ignore[arg-type]


def environment(settings: Settings) -> dict[str, str]:
    """The variables that make another process read the same settings."""
    return {variable(name): text_of(getattr(settings, name)) for name in _types()}


def in_words(name: str) -> str:
    """Meaning of a setting and its default: the help of an option."""
    text = str(meta_of(_types()[name]).description)
    return f"{text[0].lower()}{text[1:].rstrip('.')} ({environment(Settings())[variable(name)]})"


def document() -> str:
    """The table in Markdown: variable, default, allowed values, meaning."""
    rows = ["| variable | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    defaults = Settings()
    for name, annotation in _types().items():
        default = text_of(getattr(defaults, name))
        shown = f"`{default}`" if default else "(empty)"
        rows.append(f"| `{variable(name)}` | {shown} | {allowed(annotation)} | {meta_of(annotation).description} |")
    return "\n".join(rows) + "\n"


def _types() -> dict[str, Any]:
    """Name and annotated type of each setting, in the order of the table."""
    hints = get_type_hints(Settings, include_extras=True)
    return {name: hints[name] for name in Settings.__struct_fields__}


def _convert(name: str, value: object, annotation: Any) -> object:
    """One value, checked against its type and bounds."""
    if isinstance(value, str):
        value = value.strip()
        if get_args(annotation)[0] == tuple[str, ...]:
            value = tuple(part.strip() for part in value.split(",") if part.strip())
    try:
        return msgspec.convert(value, annotation, strict=not isinstance(value, str), dec_hook=_path)
    except msgspec.ValidationError as error:
        raise InputError(f"{name} is {shorten(value)!r}: allowed is {allowed(annotation)}") from error


def _path(kind: type, value: object) -> Path:
    if isinstance(value, str) and not value:
        raise ValueError("an empty path")
    return Path(str(value)).expanduser()
