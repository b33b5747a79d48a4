"""/docs: Swagger UI under a Content Security Policy that allows nothing inline but its own start."""

import pytest
from flask.testing import FlaskClient

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"])


@on_sqlite
@pytest.mark.parametrize("path", ["/docs/", "/docs/index.html", "/docs/oauth2-redirect.html"])
def test_docs_have_a_policy_and_stay_out_of_frames(path: str, client: FlaskClient) -> None:
    with client.get(path) as answer:
        assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy
    script = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
    assert "unsafe" not in script
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@on_sqlite
def test_the_policy_of_docs_is_the_same_for_every_host(client: FlaskClient) -> None:
    policies = {
        client.get("/docs/", headers={"Host": host}).headers["Content-Security-Policy"]
        for host in ("localhost", "127.0.0.1:8000")
    }
    assert len(policies) == 1
