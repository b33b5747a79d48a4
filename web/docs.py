"""Serves Swagger UI for the OpenAPI document at /docs, from local files and with a strict Content-Security-Policy."""

import base64
import hashlib
import re

from flask import Blueprint, Flask, Response
from flask_swagger_ui import get_swaggerui_blueprint

CONFIG = {
    "app_name": "DiffRhythm Ledger",
    "validatorUrl": None,
    "oauth2RedirectUrl": "/docs/oauth2-redirect.html",  # the default contains the Host of the request
}
# Swagger UI adds <style> elements of its own, so inline styles must be allowed; inline scripts are not.
POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def register(app: Flask) -> None:
    """Serve Swagger UI at /docs."""
    blueprint: Blueprint = get_swaggerui_blueprint("/docs", "/openapi.json", config=CONFIG)
    blueprint.after_request(protect)
    app.register_blueprint(blueprint)


def protect(answer: Response) -> Response:
    """Add the headers that allow only local files and the inline start script, which is the same for every request."""
    answer.headers["X-Content-Type-Options"] = "nosniff"
    if answer.mimetype == "text/html":
        answer.direct_passthrough = False  # for oauth2-redirect.html, which is sent from a file
        scripts = " ".join(["'self'", *map(source_hash, INLINE_SCRIPT.findall(answer.get_data()))])
        answer.headers["Content-Security-Policy"] = POLICY.format(scripts=scripts)
    return answer


def source_hash(script: bytes) -> str:
    """The source expression that allows one inline script (CSP level 2)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
