"""The file of tokens: it is replaced as a whole, kept private, and refused when it cannot be trusted."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from access import contents, file
from access.contents import MOST_SESSIONS, MOST_TOKENS, Contents, digest, now
from access.file import TokensFile
from errors import Conflict, Invalid, NotFound, TokensUnusable
from settings import Settings
from tests.service import ROOT, clean_environment

KILLED_BEFORE_THE_RENAME = """
import os, signal, sys
from pathlib import Path
from access import file
from settings import Settings
file.publish_file = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
with file.TokensFile(Settings(_env_file=None, api_tokens=Path(sys.argv[1]))).changing() as contents:
    contents.add_token("second", False)
"""


@pytest.fixture
def tokens(tmp_path: Path) -> TokensFile:
    """The file of tokens of the test, which does not exist yet."""
    return TokensFile(Settings(_env_file=None, api_tokens=tmp_path / "tokens.json", storage_dir=tmp_path / "output"))


def add(tokens: TokensFile, name: str, read_only: bool = False) -> str:
    """Add a token; returns it."""
    with tokens.changing() as changed:
        return changed.add_token(name, read_only)


def names(tokens: TokensFile) -> list[str]:
    """The names of the tokens in the file."""
    return [token.name for token in (tokens.read() or Contents()).tokens]


def test_a_token_is_stored_as_its_digest_in_a_private_file(tokens: TokensFile) -> None:
    made = add(tokens, "phone", read_only=True)
    [stored] = json.loads(tokens.path.read_text())["tokens"]
    assert made.startswith("ledger_") and len(made) == len("ledger_") + 43
    assert made not in tokens.path.read_text() and stored["sha256"] == digest(made)
    assert (stored["name"], stored["read_only"], stored["used_at"]) == ("phone", True, None)
    assert [oct(path.stat().st_mode & 0o777) for path in (tokens.path, tokens.lock)] == ["0o600", "0o600"]


def test_no_file_has_no_tokens_and_nothing_is_made_by_reading_it(tokens: TokensFile) -> None:
    assert tokens.read() is None and tokens.stamp() == ()
    assert os.listdir(tokens.path.parent) == []


@pytest.mark.parametrize("name", ["", "a b", "a" * 65, "é", "a/b", "a\n", "API_TOKEN"])
def test_a_name_that_cannot_be_used_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match=r"A-Z a-z 0-9 \. _ -"):
        Contents().add_token(name, False)


def test_names_are_unique_and_tokens_have_a_limit() -> None:
    full = Contents()
    for number in range(MOST_TOKENS):
        full.add_token(f"token-{number}", False)
    with pytest.raises(Conflict, match="There is a token token-7 already"):
        full.add_token("token-7", True)
    with pytest.raises(Conflict, match=f"There are {MOST_TOKENS} tokens"):
        full.add_token("one-more", False)


def test_removing_a_token_ends_its_sessions_alone() -> None:
    both = Contents()
    for name in ("a", "b", "b"):
        both.begin_session(name, digest(name))
    both.add_token("b", False)
    assert both.remove_token("b") == 2
    assert (both.sessions_of("a"), both.sessions_of("b"), both.tokens) == (1, 0, [])
    with pytest.raises(NotFound, match="no token 'b'"):
        both.remove_token("b")


def test_a_token_has_a_limited_number_of_sessions_and_the_least_used_one_ends() -> None:
    many = Contents()
    other = many.begin_session("other", digest("other"))
    ids = [many.begin_session("a", digest("a")) for _ in range(MOST_SESSIONS)]
    many.sessions[1].used_at += timedelta(seconds=9)  # the first one of a
    ids.append(many.begin_session("a", digest("a")))
    kept = {session.sha256 for session in many.sessions}
    assert many.sessions_of("a") == MOST_SESSIONS and digest(other) in kept
    assert digest(ids[0]) in kept and digest(ids[1]) not in kept and digest(ids[-1]) in kept


@pytest.mark.parametrize("days", [31, -31])
def test_a_session_that_was_not_used_for_30_days_ends_also_one_of_a_wrong_clock(days: int) -> None:
    old = Contents()
    for _ in range(2):
        old.begin_session("a", digest("a"))
    old.sessions[0].used_at -= timedelta(days=days)
    old.end_unused(now())
    assert len(old.sessions) == 1


def test_the_last_use_is_stored_once_a_minute() -> None:
    used = Contents()
    used.add_token("a", False)
    [token] = used.tokens
    for seconds, stored in ((0, 0), (59, 0), (60, 60), (30, 60)):
        used.note_uses({token.sha256: 1_000_000_000.9 + seconds, digest("unknown"): 5.0})
        assert token.used_at is not None and token.used_at.timestamp() == 1_000_000_000 + stored


def test_a_use_that_a_wrong_clock_has_stored_is_replaced() -> None:
    used = Contents()
    used.begin_session("a", digest("a"))
    [session] = used.sessions
    right = session.used_at.timestamp()
    session.used_at += timedelta(days=29)
    used.note_uses({session.sha256: right})
    assert session.used_at.timestamp() == right


def test_a_process_that_is_killed_before_the_rename_changes_nothing(tokens: TokensFile) -> None:
    add(tokens, "first")
    before = tokens.path.read_bytes()
    script = [sys.executable, "-c", KILLED_BEFORE_THE_RENAME, str(tokens.path)]
    killed = subprocess.run(script, env=clean_environment(PYTHONPATH=str(ROOT)), cwd=tokens.path.parent)
    assert killed.returncode == -signal.SIGKILL
    assert tokens.path.read_bytes() == before and "second" in tokens.path.with_name("tokens.json.new").read_text()
    add(tokens, "third")
    assert names(tokens) == ["first", "third"]
    assert sorted(os.listdir(tokens.path.parent)) == ["tokens.json", "tokens.json.lock"]


def test_a_change_that_fails_writes_nothing(tokens: TokensFile) -> None:
    add(tokens, "first")
    before = tokens.stamp()
    with pytest.raises(Conflict):
        add(tokens, "first")
    with tokens.changing() as changed:
        changed.end_sessions()
    assert tokens.stamp() == before


def test_changes_at_the_same_time_are_all_kept(tokens: TokensFile) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: add(tokens, f"token-{number}"), range(12)))
    assert sorted(names(tokens)) == sorted(f"token-{number}" for number in range(12))


def test_a_lock_that_another_program_keeps_is_not_waited_for_forever(
    tokens: TokensFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tokens, "first")
    monkeypatch.setattr(file, "LOCK_SECONDS", 0.0)
    with tokens.lock.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TokensUnusable, match=r"keeps .*tokens\.json\.lock locked"):
            add(tokens, "second")
    assert names(tokens) == ["first"]


def test_a_file_that_is_gone_is_not_taken_for_a_new_beginning(tokens: TokensFile) -> None:
    add(tokens, "first")
    tokens.path.unlink()
    for use in (tokens.read, lambda: add(tokens, "second")):
        with pytest.raises(TokensUnusable, match=r"is gone, .* delete tokens\.json\.lock and make new tokens"):
            use()
    assert tokens.stamp() != () and not tokens.path.exists()
    tokens.lock.unlink()
    assert tokens.read() is None and add(tokens, "second")


def test_a_process_that_is_killed_before_the_first_file_leaves_no_sign_of_one(tokens: TokensFile) -> None:
    tokens.lock.touch()
    assert tokens.read() is None and tokens.stamp() == ()


VALID = Contents().model_dump_json()
TOKEN = '{"name": "a", "sha256": "%s", "read_only": false, "created_at": "2026-11-27T21:37:05Z"}' % ("0" * 64)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        VALID[:-1],
        '{"tokens": {}}',
        '{"tokens": [], "scopes": []}',
        f'{{"tokens": [{TOKEN}, {TOKEN}]}}',
        f'{{"tokens": [{TOKEN.replace("false", "null")}]}}',
        f'{{"tokens": [{TOKEN[:-1]}, "scope": "x"}}]}}',
        f'{{"tokens": [{TOKEN.replace("false", chr(34) + "no" + chr(34))}]}}',
        f'{{"tokens": [{TOKEN.replace("0" * 64, "ledger_secret")}]}}',
        "\udcff",
    ],
)
def test_a_file_that_is_not_valid_is_refused_without_its_values(tokens: TokensFile, text: str) -> None:
    tokens.path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(TokensUnusable, match="is no valid file of tokens") as caught:
        tokens.read()
    assert "ledger_secret" not in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(TokensUnusable):
        add(tokens, "a")
    assert tokens.path.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_a_valid_file_by_hand_is_read(tokens: TokensFile) -> None:
    tokens.path.write_text(f'{{"tokens": [{TOKEN}]}}')
    assert names(tokens) == ["a"]


def test_a_folder_or_a_pipe_in_its_place_is_refused(tokens: TokensFile) -> None:
    os.mkfifo(tokens.path)
    with pytest.raises(TokensUnusable, match="is no file of tokens"):
        tokens.read()
    tokens.path.unlink()
    tokens.path.mkdir()
    with pytest.raises(TokensUnusable, match="is no file of tokens"):
        add(tokens, "a")


def test_a_disk_that_cannot_be_written_leaves_the_file_as_it_was(
    tokens: TokensFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tokens, "first")

    def full(*paths: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file, "publish_file", full)
    with pytest.raises(TokensUnusable, match="cannot be written .No space left on device."):
        add(tokens, "second")
    assert names(tokens) == ["first"]


def test_the_folder_of_the_file_is_made_and_a_link_stays_a_link(tmp_path: Path) -> None:
    deep = TokensFile(Settings(_env_file=None, api_tokens=tmp_path / "a" / "b" / "tokens.json"))
    add(deep, "first")
    (tmp_path / "link.json").symlink_to(deep.path)
    linked = TokensFile(Settings(_env_file=None, api_tokens=tmp_path / "link.json"))
    add(linked, "second")
    assert names(deep) == ["first", "second"] and (tmp_path / "link.json").is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_that_root_makes_belongs_to_the_owner_of_the_folder(tokens: TokensFile) -> None:
    os.chown(tokens.path.parent, 12345, 12346)
    add(tokens, "first")
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (tokens.path, tokens.lock)}
    assert owners == {(12345, 12346)}


def test_a_link_in_the_place_of_the_lock_is_not_followed(tokens: TokensFile, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    tokens.lock.symlink_to(tmp_path / "other")
    with pytest.raises(TokensUnusable, match="symbolic links"):
        add(tokens, "first")
    assert (tmp_path / "other").read_text() == "" and not tokens.path.exists()


def test_an_odd_text_has_a_digest() -> None:
    assert digest("\ud800") == digest("?") and len(contents.digest("é" * 10_000)) == 64
