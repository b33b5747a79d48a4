"""Settings: read from the environment, refused in words; how a start refuses is in test_start.py."""

from datetime import timedelta
from pathlib import Path

import pytest

from errors import SettingsError
from settings import Settings, duration, load_settings


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine, and no .env."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "x", "PORT is 'x': input should be a valid integer"),
        ("PORT", "70000", "PORT is '70000': input should be less than or equal to 65535"),
        ("SQL_ECHO", "maybe", "SQL_ECHO is 'maybe'"),
        ("DB_PATH", ":memory:", "DB_PATH is .*expected the path of a file"),
        (
            "DATABASE_URL",
            "mysql://u:secret@h/n",
            "DATABASE_URL is set: expected sqlite:///path-of-a-file",
        ),
        ("DATABASE_URL", "sqlite:///:memory:", "DATABASE_URL is set"),
        ("DIFFRHYTHM_COMMAND", "python infer.py {prompt}", "DIFFRHYTHM_COMMAND is .*with {output_dir} in it"),
        ("DIFFRHYTHM_COMMAND", "python 'infer.py", "DIFFRHYTHM_COMMAND is .*no closing quotation"),
        ("LEASE_SECONDS", "0", "LEASE_SECONDS is '0'"),
        ("SUBSONIC_USER", " ", "SUBSONIC_USER is ' ': expected the name by which music players sign in"),
    ],
)
def test_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said) as caught:
        load_settings()
    assert "secret" not in str(caught.value) and caught.value.args[0] == str(caught.value)


def test_the_database_is_sqlite_unless_a_url_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().sqlite_path == Path("app.db")
    monkeypatch.setenv("DATABASE_URL", "sqlite:////data/ledger.db")
    assert (load_settings().sqlite_path, load_settings().is_postgresql) == (Path("/data/ledger.db"), False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/n")
    assert load_settings().is_postgresql


def test_host_names_are_split_and_lower_cased(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "Studio.LAN, , music")
    assert load_settings().host_names == {"studio.lan", "music"}


@pytest.mark.parametrize(
    ("text", "length"),
    [("90s", {"seconds": 90}), ("30m", {"minutes": 30}), (" 24h ", {"hours": 24}), ("36500d", {"days": 36500})],
)
def test_a_duration_is_a_number_and_a_unit(text: str, length: dict[str, int]) -> None:
    assert duration(text) == timedelta(**length)


@pytest.mark.parametrize("text", ["", "24", "h", "0d", "-1d", "1.5h", "1 h", "1w", "36501d", "9999999999d", "٣d", "1D"])
def test_any_other_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 24h or 7d"):
        duration(text)
