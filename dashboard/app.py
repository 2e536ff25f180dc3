"""Puts the dashboard together; nothing happens at import."""

from __future__ import annotations

from pathlib import Path

import dash_ag_grid
from dash import Dash, set_props

from .cache.results import Cached
from .callbacks import register_callbacks
from .error_answers import on_callback_error
from .service.atlas_service import Service
from .service.damage import Scrub
from .settings import Settings
from .tracing import register_tracing
from .views.labels import told
from .views.page import layout
from .web.access import register_access, signed_in
from .web.aladin_page import register_aladin
from .web.api import register_api
from .web.cone_search import register_cone_search
from .web.cutout_routes import register_cutouts
from .web.downloads import Downloads
from .web.health import register_health
from .web.icon import ICON
from .web.job_routes import register_job_routes
from .web.label_routes import register_label_routes
from .web.list_routes import register_list_routes
from .web.method_page import register_method
from .web.metrics import register_metrics
from .web.region_routes import register_region_routes
from .web.routes import BOOTSTRAP_URL, register_routes
from .web.samp_routes import register_samp
from .web.security import secure
from .web.strict_plotly import register_strict_plotly
from .web.visitor_limits import VisitorLimits, register_visitor_limits

INDEX = """<!DOCTYPE html>
<html lang="en">
<head>{%metas%}<title>{%title%}</title>ICON{%css%}</head>
<body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body>
</html>
""".replace("ICON", ICON)
ASSETS = Path(__file__).resolve().parent.parent / "assets"


def create_app(*, settings: Settings, watch: bool = False) -> Dash:
    """A Dash app that serves the atlas of the settings.

    Parameters
    ----------
    settings : Settings
    watch : bool
        Whether a thread looks for damaged files while the app serves (`dashboard.service.damage`).

    Raises
    ------
    FormatError
        If there is no atlas to serve.
    ResourceError
        If the cache's folder is not safe to use.
    """
    for script in dash_ag_grid._js_dist:
        if "dynamic" not in script:
            script["async"] = "lazy"  # the table's code is large, and most visitors look at pictures: assets fetch it
    app = Dash(
        "galaxy_finder",
        title="Galaxy Finder",
        index_string=INDEX,
        update_title="",
        assets_folder=str(ASSETS),
        assets_ignore="^aladin-page",  # of a page of its own
        external_stylesheets=[BOOTSTRAP_URL],
        use_async=False,
        enable_mcp=False,
        serve_locally=True,
        on_error=on_callback_error(lambda text: set_props("toast", {"children": text, "is_open": True})),
    )
    if settings.plotly_bundle:
        app.config.external_scripts.append(register_strict_plotly(app.server, Path(settings.plotly_bundle)))
    cached = Cached(app.server, settings)
    service = Service(settings, cached)
    service.start()
    register_metrics(app.server, settings, service.ready)
    register_tracing(app.server, trusted=settings.trust_proxy > 0)
    limits = VisitorLimits(settings)
    service.spend = limits.spend_operations
    register_visitor_limits(app.server, limits)
    register_access(app.server, settings)
    # Made anew for each visitor: a build that was taken up since has another id, perhaps another title.
    app.layout = lambda: layout(
        service.atlas,
        told(service.book.known(fresh=True)),
        samp="server" if settings.samp else "page" if settings.samp_web else "",
        user=signed_in() if settings.openid_issuer else "",
        cutouts=tuple(one.name for one in service.cutout_services),
    )
    register_callbacks(app, service)
    downloads = Downloads(app.server, settings)
    register_routes(app.server, service, cached, downloads)
    register_cutouts(app.server, service)
    register_method(app.server, service, cached)
    register_aladin(app.server, service)
    register_cone_search(app.server, service)
    register_label_routes(app.server, service)
    register_list_routes(app.server, service)
    register_region_routes(app.server, service)
    register_job_routes(app.server, service)
    register_samp(app.server, service)
    if settings.api:
        register_api(app.server, service, downloads)
    register_health(app.server, service.ready)
    secure(app.server, app, settings)
    if watch and settings.scrub_mb_per_s:
        Scrub(settings.atlas, service.damage, settings.scrub_mb_per_s).start()
    return app
