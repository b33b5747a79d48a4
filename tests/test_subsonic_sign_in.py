"""The sign-in of music players: a token of the app password, and nothing else, opens /rest/, and nothing but /rest/."""

import subprocess
import sys
from pathlib import Path

import pytest

from app import create_app
from database import release
from errors import SettingsError
from settings import Settings, load_settings
from tests.players import PASSWORD, Player, address, elements, player, signed
from tests.service import ROOT, clean_environment
from web.guard import COOKIE

__all__ = ["player"]
TOKEN = "token-of-the-service"


@pytest.fixture
def kind() -> str:
    """The sign-in needs no database, so one of them is enough."""
    return "sqlite"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings of the test, with a password for players and a token for everything else."""
    return settings.model_copy(update={"subsonic_password": PASSWORD, "api_token": TOKEN})


def test_a_token_of_the_password_and_a_salt_signs_in(player: Player) -> None:
    assert player("ping") == player("ping.view") == player("ping")
    assert player("ping", salt="another-salt")["status"] == "ok"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"password": "wrong horse battery"}, 40),
        ({"password": TOKEN}, 40),
        ({"password": ""}, 40),
        ({"u": "admin"}, 40),
        ({"salt": "short"}, 40),
        ({"salt": ""}, 40),
        ({"s": "another"}, 40),
        ({"t": "é"}, 40),
        ({"t": "0" * 32}, 40),
        ({"u": None}, 10),
        ({"t": None}, 10),
        ({"s": None}, 10),
        ({"v": None}, 10),
        ({"c": None}, 10),
        ({"v": "one"}, 10),
        ({"v": "0.9"}, 20),
        ({"v": "2.0.0"}, 30),
        ({"t": None, "s": None, "p": PASSWORD}, 42),
        ({"t": None, "s": None, "p": f"enc:{PASSWORD.encode().hex()}"}, 42),
        ({"p": PASSWORD}, 43),
        ({"u": None, "t": None, "s": None, "apiKey": PASSWORD}, 42),
        ({"apiKey": PASSWORD}, 43),
    ],
)
def test_any_other_sign_in_gets_its_error(player: Player, changes: dict[str, str | None], code: int) -> None:
    for method in ("ping", "getArtists", "stream?id=track-1", "star?id=track-1", "createUser", "nothing"):
        assert player.code(method, **changes) == code


def test_a_salt_with_the_token_of_another_one_or_of_an_old_password_is_refused(
    player: Player, settings: Settings
) -> None:
    seen = signed()
    assert player.client.get("/rest/ping", query_string=seen).json["subsonic-response"]["status"] == "ok"  # type: ignore[index]
    assert player.code("ping", t=seen["t"], s=f"{seen['s']}x") == 40
    renewed = create_app(settings.model_copy(update={"subsonic_password": "another battery staple"}))
    assert Player(renewed.test_client()).code("ping", **seen) == 40
    release()


def test_the_extensions_are_read_without_a_sign_in(player: Player) -> None:
    answer = player.client.get("/rest/getOpenSubsonicExtensions")
    names = [attributes["name"] for name, attributes in elements(answer.data) if name == "openSubsonicExtensions"]
    assert names == ["formPost", "songLyrics"]


def test_neither_the_token_of_the_service_nor_its_cookie_opens_the_interface(player: Player) -> None:
    player.client.post("/sign-in", data={"token": TOKEN})
    assert player.client.get_cookie(COOKIE) is not None
    answer = player.client.get("/rest/ping?f=json", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.json["subsonic-response"]["error"]["code"] == 10  # type: ignore[index]
    assert player.code("ping", password=TOKEN) == 40
    assert player.code("star?id=track-1", t=None, s=None, u=None) == 10


def test_the_app_password_opens_nothing_else(player: Player) -> None:
    for path in ("/api/jobs", "/api/tracks", "/metrics", "/"):
        for headers in ({}, {"Authorization": f"Bearer {PASSWORD}"}):
            answer = player.client.get(path, query_string=signed(), headers=headers)
            assert answer.status_code in (401, 303), path
        player.client.post("/sign-in", data={"token": PASSWORD})
        assert player.client.get(path, query_string=signed()).status_code in (401, 303), path


def test_a_form_is_read_as_the_query_is(player: Player) -> None:
    answer = player.client.post("/rest/getUser.view", data={**signed(), "username": "ledger"})
    assert answer.json["subsonic-response"]["user"]["username"] == "ledger"  # type: ignore[index]
    assert player.client.post(address("ping")).json["subsonic-response"]["status"] == "ok"  # type: ignore[index]


def test_a_body_that_is_no_form_is_not_read(player: Player) -> None:
    answer = player.client.post("/rest/ping?f=json", data=signed(), content_type="multipart/form-data")
    assert answer.json["subsonic-response"]["error"]["code"] == 10  # type: ignore[index]


def test_a_page_of_another_site_can_be_a_player_but_not_by_an_unknown_name(player: Player) -> None:
    answer = player.client.post("/rest/ping", data=signed(), headers={"Origin": "https://player.example"})
    assert answer.json["subsonic-response"]["status"] == "ok"  # type: ignore[index]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    refused = player.client.get(address("ping"), headers={"Host": "attacker.example"}).json
    assert "ALLOWED_HOSTS" in refused["subsonic-response"]["error"]["message"]  # type: ignore[index]


def test_without_a_password_there_is_no_interface(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"subsonic_password": ""}))
    assert app.test_client().get(address("ping")).status_code == 404
    assert not [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/rest")]
    release()


@pytest.mark.parametrize(
    ("password", "said"), [("short-one", "at least 12 characters"), (f" {TOKEN} ", "must differ from API_TOKEN")]
)
def test_a_password_that_is_short_or_opens_more_stops_the_start(
    password: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("API_TOKEN", TOKEN)
    monkeypatch.setenv("SUBSONIC_PASSWORD", password)
    with pytest.raises(SettingsError, match=f"SUBSONIC_PASSWORD is set: .*{said}") as caught:
        load_settings()
    assert password.strip() not in str(caught.value)


def test_a_service_without_players_does_not_load_the_interface(tmp_path: Path) -> None:
    loaded = "print('web.subsonic' in sys.modules)"
    script = f"import sys; from app import *; create_app(); {loaded}; "
    script += f"create_app(Settings(subsonic_password={PASSWORD!r})); {loaded}"
    environment = clean_environment(DB_PATH="app.db", PYTHONPATH=str(ROOT))
    command = [sys.executable, "-c", script]
    assert subprocess.check_output(command, cwd=tmp_path, env=environment, text=True) == "False\nTrue\n"
