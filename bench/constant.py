"""The floor: a Flask app that sends the same bytes as this service, on the same server, with the same settings.

It answers without a database, a check or a schema. The difference to it is the cost of this service itself.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from flask import Flask, Response, request  # noqa: E402

import app  # noqa: E402
from settings import Settings  # noqa: E402

JOB = {"job_id": "load-1", "prompt": "folk, electronic guitar, soft piano", "metadata": {"genre": "genre-1"}}

create_real_app = app.create_app


def create_constant_app(settings: Settings | None = None) -> Flask:
    """A Flask app with three routes. Their bodies come from the real app, once."""
    real = create_real_app(settings)
    client = real.test_client()
    job = client.post("/api/jobs", json=JOB)
    for _ in range(50):
        client.post("/api/jobs", json={name: JOB[name] for name in ("prompt", "metadata")})
    page = client.get("/api/jobs?limit=50").data
    constant = Flask(__name__, static_folder=None)
    constant.extensions.update(real.extensions)
    add_routes(constant, job.data, job.headers["ETag"], page)
    return constant


def add_routes(constant: Flask, job: bytes, etag: str, page: bytes) -> None:
    """Add the routes."""

    @constant.get("/healthz")
    def healthz() -> Response:
        return Response(b'{"status":"ok"}', content_type="application/json")

    @constant.get("/api/jobs/<job_id>")
    def get_job(job_id: str) -> Response:
        if "If-None-Match" in request.headers:
            return Response(status=304, headers={"ETag": etag})
        return Response(job, headers={"ETag": etag}, content_type="application/json")

    @constant.get("/api/jobs")
    def list_jobs() -> Response:
        return Response(page, content_type="application/json")

    @constant.post("/api/jobs")
    def create_job() -> Response:
        request.get_data()
        return Response(job, 201, {"ETag": etag, "Location": "/api/jobs/load-1"}, content_type="application/json")


if __name__ == "__main__":
    app.create_app = create_constant_app
    app.main()
