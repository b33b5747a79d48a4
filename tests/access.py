"""A service with tokens in tests: its file, and what a client with a token or a session is answered."""

from flask import Flask
from flask.testing import FlaskClient

from access.access import Access

OWNER, READER = "owner", "reader"
SECRET = "secret-of-the-settings"  # API_TOKEN
NEAR, FAR = "203.0.113.9", "198.51.100.7"  # addresses of clients


def access_of(app: Flask) -> Access:
    """The tokens and sessions of an app."""
    access: Access = app.extensions["ledger"].access
    return access


def add_token(app: Flask, name: str, read_only: bool = False) -> str:
    """Make a token as `flask token add` does; the app has noticed it."""
    with access_of(app).file.changing() as contents:
        token = contents.add_token(name, read_only)
    access_of(app).look()
    return token


def remove_token(app: Flask, name: str) -> None:
    """Remove a token as `flask token remove` does; the app has noticed it."""
    with access_of(app).file.changing() as contents:
        contents.remove_token(name)
    access_of(app).look()


def bearer(token: str) -> dict[str, str]:
    """The headers that send a token."""
    return {"Authorization": f"Bearer {token}"}


def read(client: FlaskClient, token: str, address: str = NEAR, **headers: str) -> int:
    """The status of a GET with a token from an address."""
    sent = {**bearer(token), **headers}
    return client.get("/api/jobs", headers=sent, environ_overrides={"REMOTE_ADDR": address}).status_code


def sign_in(client: FlaskClient, token: str, address: str = NEAR) -> int:
    """Send the form of the sign-in from an address. Returns the status."""
    form = {"token": token}
    return client.post("/sign-in", data=form, environ_overrides={"REMOTE_ADDR": address}).status_code
