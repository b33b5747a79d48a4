"""Settings that cannot be used: refused by name in one sentence, wherever they are read first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from errors import SettingsError
from settings import Settings, load_settings
from tests.conftest import ROOT, clean_environment

FLASK = (sys.executable, "-m", "flask", "--app", str(ROOT / "app.py"))


@pytest.fixture(autouse=True)
def in_an_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine, and no .env."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("value", ["abc", "abc\n", " abc\r\n", "\tabc "])
def test_the_token_is_trimmed(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", value)
    assert load_settings().api_token == "abc"


def test_the_user_of_players_is_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBSONIC_USER", " ada\n")
    assert load_settings().subsonic_user == "ada"


@pytest.mark.parametrize("value", [" ", "\n", "a\nb", "schlüssel", "a\x7f"])
def test_a_token_that_no_header_can_carry_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", value)
    with pytest.raises(SettingsError, match="^API_TOKEN is set: expected letters, digits and signs of ASCII") as caught:
        load_settings()
    assert not value.strip() or value not in str(caught.value)


PORTS = ["studio.lan:8000", "[::1]:80"]


@pytest.mark.parametrize("value", [*PORTS, "a, http://studio.lan", "*.lan", "studio lan", "müsik.lan"])
def test_a_host_that_matches_no_request_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", value)
    with pytest.raises(SettingsError, match="^ALLOWED_HOSTS is .*: expected names .* without a port"):
        load_settings()


def test_names_and_addresses_are_allowed_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "Studio.LAN,\n music_box, 192.168.0.7, ::1, [::1],")
    assert load_settings().host_names == {"studio.lan", "music_box", "192.168.0.7", "::1"}


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the current folder with these settings and no others."""
    variables = clean_environment(PYTHONPATH=str(ROOT), **environment)
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "command",
    [(sys.executable, str(ROOT / "app.py")), (*FLASK, "run"), (*FLASK, "worker"), (*FLASK, "routes")],
    ids=lambda command: command[-1].rpartition(os.sep)[2],
)
def test_a_bad_setting_ends_a_command_with_one_sentence(command: tuple[str, ...]) -> None:
    ended = run(*command, PORT="x")
    said = ended.stderr.strip().splitlines()
    assert ended.returncode != 0 and len(said) == 1, ended.stderr
    assert "PORT is 'x': input should be a valid integer" in said[0] and "Traceback" not in said[0]


def test_a_bad_setting_ends_app_py_with_1() -> None:
    assert run(sys.executable, str(ROOT / "app.py"), PORT="x").returncode == 1


@pytest.mark.parametrize("use", ["Job.select().count()", "Job.create(prompt='p')", "JobRepository().get_by_id('x')"])
def test_a_bad_setting_is_raised_at_the_first_use_of_a_model_not_at_its_import(use: str) -> None:
    script = f"from models import Job\nfrom repos import JobRepository\nprint('imported')\n{use}"
    ended = run(sys.executable, "-c", script, PORT="x")
    assert ended.returncode == 1 and ended.stdout == "imported\n"
    assert ended.stderr.strip().splitlines()[-1].startswith("errors.SettingsError: PORT is 'x': ")
