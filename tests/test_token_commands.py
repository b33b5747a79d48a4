"""`flask token`: what its commands print and change; and the starts that are refused for want of a token."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from access.contents import OWN, digest
from access.file import TokensFile
from access.start import check_start
from commands.tokens import token
from errors import SettingsError
from settings import Settings
from tests.test_commands import flask

Run = Callable[..., Result]


def settings_in(folder: Path, **values: object) -> Settings:
    """Settings with the file of tokens in this folder, if it exists."""
    return Settings(_env_file=None, **{"storage_dir": folder / "output", **values})


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TokensFile:
    """The usual file of tokens, in the folder of the test."""
    monkeypatch.chdir(tmp_path)
    return TokensFile(settings_in(tmp_path))


@pytest.fixture
def run(tokens: TokensFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command of `flask token`."""
    monkeypatch.setattr("commands.tokens.get_settings", lambda: settings_in(tmp_path, api_token="secret"))
    return lambda *arguments: CliRunner().invoke(token, arguments)


def test_the_token_alone_is_on_stdout_and_works(tmp_path: Path) -> None:
    made = flask(tmp_path, "token", "add", "ci")
    assert made.returncode == 0 and made.stdout.startswith("ledger_") and made.stdout.count("\n") == 1
    assert "not shown again" in made.stderr
    stored = TokensFile(settings_in(tmp_path, api_tokens=tmp_path / "tokens.json")).read()
    assert stored is not None and stored.tokens[0].sha256 == digest(made.stdout.strip())
    assert [path.name for path in tmp_path.glob("app.db*")] == []


def test_the_list_has_names_rights_uses_and_sessions_and_no_secret(run: Run, tokens: TokensFile) -> None:
    made = json.loads(run("add", "reader", "--read-only", "--json").stdout)
    assert made["name"] == "reader" and made["read_only"] is True and made["token"].startswith("ledger_")
    with tokens.changing() as contents:
        contents.begin_session("reader", digest(made["token"]))
        contents.begin_session(OWN, digest("secret"))
        contents.note_uses({digest(made["token"]): 1_800_000_000.0})
    lines = [line.split("\t") for line in run("list").stdout.splitlines()]
    assert [line[0] for line in lines] == ["name", "reader", "API_TOKEN"]
    assert lines[1][1] == "read only" and lines[1][3:] == ["2027-01-15T08:00:00Z", "1"]
    assert lines[2][1:] == ["full", "", "", "1"]
    listed = run("list", "--json")
    assert [item["sessions"] for item in json.loads(listed.stdout)["items"]] == [1, 1]
    assert digest(made["token"]) not in listed.stdout and made["token"] not in listed.stdout


def test_a_token_is_removed_with_its_sessions(run: Run, tokens: TokensFile) -> None:
    made = run("add", "phone").stdout.splitlines()[0]
    with tokens.changing() as contents:
        contents.begin_session("phone", digest(made))
    assert run("remove", "phone").stdout == "phone is removed. 1 session ended.\n"
    again = run("remove", "phone")
    assert again.exit_code == 1 and "no token 'phone'" in str(again.exception)


def test_sessions_end_without_their_token(run: Run, tokens: TokensFile) -> None:
    run("add", "phone")
    with tokens.changing() as contents:
        for name in ("phone", OWN, OWN):
            contents.begin_session(name, digest("x"))
    assert run("sign-out", "none").exit_code == 1
    assert run("sign-out", OWN).stdout == "2 sessions ended.\n"
    assert run("sign-out").stdout == "1 session ended.\n"
    contents_now = tokens.read()
    assert contents_now is not None and len(contents_now.tokens) == 1 and contents_now.sessions == []


def test_nothing_is_made_by_looking(run: Run, tmp_path: Path) -> None:
    assert run("list").stdout.splitlines()[1:] == ["API_TOKEN\tfull\t\t\t0"]
    assert run("sign-out").stdout == "0 sessions ended.\n"
    assert not (tmp_path / "tokens.json").exists()


def refusal(settings: Settings) -> str:
    """Why a start is refused; '' if it is not."""
    try:
        check_start(settings)
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "::ffff:127.0.0.1"])
def test_this_machine_alone_needs_no_token(tokens: TokensFile, tmp_path: Path, host: str) -> None:
    assert refusal(settings_in(tmp_path, host=host)) == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "0", "::ffff:192.0.2.1", "studio.lan"])
def test_an_address_for_others_needs_a_token(
    tokens: TokensFile, tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda name, *rest, **more: resolve(name.replace("studio.lan", "192.0.2.7"), *rest, **more),
    )
    said = refusal(settings_in(tmp_path, host=host, subsonic_password="correct horse battery"))
    assert said.startswith(f"HOST is '{host}': other machines could reach the service") and "flask token add" in said
    assert refusal(settings_in(tmp_path, host=host, api_token="secret")) == ""
    with tokens.changing() as contents:
        contents.add_token("owner", True)
    assert refusal(settings_in(tmp_path, host=host)) == ""


def test_a_host_that_does_not_exist_is_left_to_the_one_who_listens(
    tokens: TokensFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*arguments: object, **options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert refusal(settings_in(tmp_path, host="no-such-host.invalid")) == ""


def test_a_file_that_cannot_be_trusted_stops_the_start_also_with_api_token(tokens: TokensFile, tmp_path: Path) -> None:
    with tokens.changing() as contents:
        contents.add_token("owner", False)
    kept = tokens.path.read_text()
    tokens.path.write_text(kept[:-1])
    for own in ("", "secret"):
        assert refusal(settings_in(tmp_path, api_token=own)).startswith(f"API_TOKENS: {tokens.path} is no valid file")
    tokens.path.unlink()
    assert "is gone" in refusal(settings_in(tmp_path))
    tokens.path.write_text(kept)
    assert refusal(settings_in(tmp_path)) == ""
    with tokens.changing() as contents:
        contents.remove_token("owner")
    assert "has no token, and API_TOKEN is not set" in refusal(settings_in(tmp_path))
    assert refusal(settings_in(tmp_path, api_token="secret")) == ""


def test_a_file_that_a_setting_names_must_exist(tokens: TokensFile, tmp_path: Path) -> None:
    named = {"api_tokens": tmp_path / "no.json"}
    assert refusal(settings_in(tmp_path, **named)).startswith(
        f"API_TOKENS is '{tmp_path / 'no.json'}': there is no such"
    )
    assert refusal(settings_in(tmp_path, api_token="secret", **named)) == ""


def test_a_file_that_clients_could_download_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="API_TOKENS is in STORAGE_DIR"):
        settings_in(tmp_path, api_tokens=tmp_path / "output" / "tokens.json")
