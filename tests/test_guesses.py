"""Failed sign-ins are limited for each client, and lock nobody out who knows a secret or has a random token."""

from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from access.clients import client_of, is_loopback
from access.guesses import MOST_FAILURES, MOST_PLACES, Guesses
from app import create_app
from database import release
from errors import TooManySignIns
from server.environ import Environs
from settings import Settings, networks
from tests.access import FAR, NEAR, OWNER, SECRET, access_of, add_token, bearer, read, sign_in
from tests.players import PASSWORD, signed
from web import guard


@pytest.fixture
def kind() -> str:
    """The limits need no database, so one of them is enough."""
    return "sqlite"


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The app with API_TOKEN and a password for players."""
    made = create_app(settings.model_copy(update={"api_token": SECRET, "subsonic_password": PASSWORD}))
    yield made
    made.extensions["ledger"].close()
    release()


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the limits see, as its last item."""
    passed = [1000.0]
    monkeypatch.setattr("access.guesses.time.monotonic", lambda: passed[-1])
    return passed


def attack(app: Flask, address: str = NEAR) -> None:
    """Send wrong tokens from an address, until one more is not judged any more."""
    client = app.test_client()
    for number in range(MOST_FAILURES):
        assert read(client, f"guess-{number}", address) == 401
    assert read(client, "one-more", address) == 429


def player(app: Flask, password: str, address: str = NEAR) -> TestResponse:
    """The answer to a call of a player from an address."""
    query = signed() if password == PASSWORD else {**signed(), "t": "0" * 32}
    return app.test_client().get("/rest/ping", query_string=query, environ_overrides={"REMOTE_ADDR": address})


def test_after_ten_failures_a_client_waits_also_with_the_right_token(app: Flask, seconds: list[float]) -> None:
    attack(app)
    seconds.append(1020.5)
    place = {"REMOTE_ADDR": NEAR}
    answer = app.test_client().get("/api/jobs", headers=bearer(SECRET), environ_overrides=place)
    assert (answer.status_code, answer.json["code"]) == (429, "too_many_sign_ins")  # type: ignore[index]
    assert answer.headers["Retry-After"] == "40" and "in 40 seconds" in answer.json["detail"]  # type: ignore[index]
    page = app.test_client().post("/sign-in", data={"token": SECRET}, environ_overrides=place)
    assert (page.status_code, page.headers["Retry-After"]) == (429, "40") and "in 40 seconds" in page.text
    seconds.append(1060.0)
    assert read(app.test_client(), SECRET) == 200


def test_wrong_tokens_of_the_form_count_as_those_of_programs(app: Flask) -> None:
    for number in range(MOST_FAILURES):
        assert sign_in(app.test_client(), f"guess-{number}") == 401
    assert sign_in(app.test_client(), SECRET) == read(app.test_client(), SECRET) == 429


def test_requests_without_a_token_and_with_an_old_cookie_are_no_failed_sign_ins(app: Flask) -> None:
    client, place = app.test_client(), {"REMOTE_ADDR": NEAR}
    client.set_cookie(guard.COOKIE, "of-a-session-that-has-ended")
    for _ in range(2 * MOST_FAILURES):
        assert client.get("/api/jobs", environ_overrides=place).status_code == 401
        assert client.get("/", environ_overrides=place).status_code == 303
    assert read(client, SECRET) == 200


def test_an_attacker_at_the_same_address_locks_no_owner_out(app: Flask) -> None:
    token, browser = add_token(app, OWNER), app.test_client()
    assert sign_in(browser, SECRET, FAR) == 303
    attack(app)
    place = {"REMOTE_ADDR": NEAR}
    assert browser.get("/", environ_overrides=place).status_code == 200  # a session, also from a new address
    assert browser.get("/api/jobs", environ_overrides=place).status_code == 200
    assert read(app.test_client(), token) == 200 and sign_in(app.test_client(), token) == 303
    assert read(app.test_client(), SECRET) == 429  # this address has not used it before
    assert read(app.test_client(), SECRET, FAR) == 200


def test_a_client_that_has_used_the_right_secret_before_may_go_on(app: Flask) -> None:
    assert read(app.test_client(), SECRET) == 200
    attack(app)
    assert read(app.test_client(), SECRET) == 200 and sign_in(app.test_client(), SECRET) == 303
    assert read(app.test_client(), "guess") == 429


def test_other_addresses_and_this_machine_are_not_limited(app: Flask) -> None:
    attack(app)
    assert read(app.test_client(), SECRET, FAR) == 200
    for _ in range(2 * MOST_FAILURES):
        assert read(app.test_client(), "guess", "127.0.0.1") == 401
    assert read(app.test_client(), SECRET, "127.0.0.1") == 200


def test_a_proxy_on_this_machine_that_is_not_trusted_is_limited_as_a_client(app: Flask) -> None:
    forwarded = {"X-Forwarded-For": FAR}
    for number in range(MOST_FAILURES):
        assert read(app.test_client(), f"guess-{number}", "127.0.0.1", **forwarded) == 401
    assert read(app.test_client(), SECRET, "127.0.0.1", **forwarded) == 429
    assert read(app.test_client(), SECRET, "127.0.0.1") == 200


def test_failures_while_the_file_cannot_be_read_count_too(app: Flask) -> None:
    access_of(app).file.path.write_text("{")
    access_of(app).look()
    for number in range(MOST_FAILURES):
        assert read(app.test_client(), f"guess-{number}") == 503
    assert read(app.test_client(), SECRET) == 429


def test_wrong_calls_of_players_are_limited_in_their_protocol(app: Flask, seconds: list[float]) -> None:
    for _ in range(MOST_FAILURES):
        assert player(app, "wrong").json["subsonic-response"]["error"]["code"] == 40  # type: ignore[index]
    for password in ("wrong", PASSWORD):
        limited = player(app, password)
        error = limited.json["subsonic-response"]["error"]  # type: ignore[index]
        assert (limited.status_code, limited.headers["Retry-After"]) == (200, "60")
        assert error["code"] == 0 and "in 60 seconds" in error["message"]
    assert player(app, PASSWORD, FAR).json["subsonic-response"]["status"] == "ok"  # type: ignore[index]
    assert read(app.test_client(), SECRET) == 200  # a phone with an old password keeps nobody from signing in
    seconds.append(1060.0)
    assert player(app, PASSWORD).json["subsonic-response"]["status"] == "ok"  # type: ignore[index]


def test_a_player_that_has_signed_in_is_not_locked_out(app: Flask) -> None:
    assert player(app, PASSWORD).json["subsonic-response"]["status"] == "ok"  # type: ignore[index]
    for _ in range(MOST_FAILURES + 1):
        player(app, "wrong")
    assert player(app, PASSWORD).json["subsonic-response"]["status"] == "ok"  # type: ignore[index]


def test_the_memory_for_clients_is_bounded() -> None:
    guesses = Guesses()
    for number in range(MOST_PLACES + 50):
        guesses.judge(f"wrong-{number}", SECRET, False)
        guesses.judge(f"right-{number}", SECRET, True)
    assert len(guesses._failures) == len(guesses._knowing) == MOST_PLACES
    assert ("wrong-0", SECRET) not in guesses._failures and (f"wrong-{MOST_PLACES}", SECRET) in guesses._failures


def test_a_client_that_goes_on_failing_is_not_the_first_to_be_forgotten() -> None:
    guesses = Guesses()
    for number in range(MOST_PLACES - 1):
        guesses.judge("attacker", SECRET, False) if number % 500 == 0 else None
        guesses.judge(f"other-{number}", SECRET, False)
    for number in range(MOST_PLACES // 2):
        guesses.judge(f"more-{number}", SECRET, False)
    with pytest.raises(TooManySignIns):
        for _ in range(MOST_FAILURES):
            guesses.judge("attacker", SECRET, False)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", None),
        ("127.9.9.9", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("", ""),
        ("x" * 500, "x" * 100),
    ],
)
def test_a_client_is_an_address_or_a_network_of_ipv6(address: str, name: str | None) -> None:
    assert client_of(address, is_forwarded=False) == name
    assert client_of(address, is_forwarded=True) is not None
    assert is_loopback(address) == (name is None)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "client"),
    [
        ("127.0.0.1", b"203.0.113.9, 198.51.100.7", FAR),
        ("127.0.0.1", b"198.51.100.7, 203.0.113.9", NEAR),
        ("127.0.0.1", b"127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", None, None),
        ("", b"203.0.113.9", "127.0.0.1"),
        ("10.0.0.0/8", b"203.0.113.9", "127.0.0.1"),
    ],
)
def test_behind_a_proxy_the_client_is_the_one_that_a_trusted_proxy_names(
    proxies: str, forwarded: bytes | None, client: str | None
) -> None:
    headers = [(b"Host", b"localhost"), *([(b"X-Forwarded-For", forwarded)] if forwarded else [])]
    environ = Environs(8000, networks(proxies)).make("GET", "1.1", b"/api/jobs", headers, "127.0.0.1")
    assert guard.client(environ) == client


def test_behind_a_trusted_proxy_an_attacker_limits_only_the_own_address(app: Flask) -> None:
    environs = Environs(8000, networks("127.0.0.1"))
    check = guard.Guard(app.extensions["ledger"].settings, access_of(app))

    def refused(token: str, client: str) -> str:
        headers = [(b"Host", b"localhost"), (b"Authorization", f"Bearer {token}".encode())]
        headers.append((b"X-Forwarded-For", f"{FAR}, {client}".encode()))
        return type(check.refusal(environs.make("GET", "1.1", b"/api/jobs", headers, "127.0.0.1"))).__name__

    assert {refused("wrong", NEAR) for _ in range(MOST_FAILURES)} == {"WrongToken"}
    assert refused("wrong", NEAR) == refused(SECRET, NEAR) == "TooManySignIns"
    assert refused(SECRET, FAR) == "NoneType" and refused("wrong", "192.0.2.1") == "WrongToken"
