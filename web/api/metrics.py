"""REST: metrics for Prometheus."""

from flask import Response, request

from settings import VERSION
from web.current import services
from web.operations import Operations

routes = Operations("")
FORMATS = ("text/plain", "application/openmetrics-text")


@routes.route("GET", "/metrics", answers={200: FORMATS})
def get_metrics() -> Response:
    """The figures of the service in the text format of Prometheus, or in OpenMetrics if the client prefers it."""
    from web import metrics  # loads prometheus_client, which only this needs

    text, media_type = metrics.text(services(), request.headers.get("Accept", ""), VERSION)
    return Response(text, content_type=media_type)
