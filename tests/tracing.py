"""Traces the system calls of a program with strace, and checks what was on disk before the program said so."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

STRACE = shutil.which("strace")
WRITES = ("write", "writev", "pwrite64", "pwritev", "sendto", "sendmsg")
SYNCS = ("fsync", "fdatasync")
NAMES = ("rename", "renameat", "renameat2", "link", "linkat")
REMOVALS = ("unlink", "unlinkat")
FOLDERS = ("mkdir", "mkdirat")
TEXT = 16_000  # characters of a write that the trace has: all of a page of SQLite
_LINE = re.compile(r"(?P<thread>\d+) +(?:(?P<call>\w+)\(|<\.\.\. (?P<resumed>\w+) resumed>)(?P<rest>.*)")
_END = re.compile(r"(?P<arguments>.*)\) += (?P<result>-?\d+|\?)")
_PATH = re.compile(r"(?:\d+|AT_FDCWD)<(?P<open>[^>]*)>|\"(?P<name>/[^\"]*)\"")


@dataclass
class Call:
    """A system call that worked. begin, end: its place in the order of all calls; `paths` are absolute."""

    thread: int
    name: str
    arguments: str
    begin: int
    end: int

    @property
    def paths(self) -> list[str]:
        """The names in its arguments; first that of its open file."""
        return [one["open"] or one["name"] for one in _PATH.finditer(self.arguments[:2000])]

    def is_of(self, names: tuple[str, ...], path: str | Path) -> bool:
        """True for one of these calls for this open file or folder."""
        return self.name in names and self.paths[:1] == [str(path)]


@cache
def why_not() -> str:
    """Why no program can be traced here; empty if it can."""
    if STRACE is None:
        return "needs strace"
    done = subprocess.run([STRACE, "-f", "true"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"strace is not permitted: {done.stderr.splitlines()[-1]}"


def traced(file: Path, command: list[str]) -> list[str]:
    """The command line that runs a command and writes its trace into a file. strace is a grandchild of the command."""
    calls = ",".join((*WRITES, *SYNCS, *NAMES, *REMOVALS, *FOLDERS))
    options = ["-D", "-f", "--seccomp-bpf", "-yy", "-s", str(TEXT), "-e", f"trace={calls}", "-e", "signal=none"]
    return [str(STRACE), *options, "-o", str(file), *command]


def is_complete(file: Path) -> bool:
    """True if the traced program, whose line is the first one, has ended."""
    with file.open(errors="replace") as lines:
        main = next(lines, " ").split()[:1]
        return any(words[:2] == [*main, "+++"] for line in lines if (words := line.split()))


class Trace:
    """The calls of a program and of all that it started, in order."""

    def __init__(self, file: Path) -> None:
        self.calls = _read(file)

    def answers(self) -> list[Call]:
        """The beginnings of answers of a web process, without those that only say "continue"."""
        return [call for call in self.calls if call.name in WRITES and _is_answer(call.arguments)]

    def between(self, before: int, after: int) -> list[Call]:
        """The calls that began after a place in the order and ended before another one."""
        return [call for call in self.calls if before < call.begin and call.end < after]


class Commit(NamedTuple):
    """A commit: the places in the order at which its first page was written, and at which it was on disk."""

    written: int
    synced: int


def commit_of(calls: list[Call], wal: Path, text: str) -> Commit:
    """The first commit of a page with this text: its thread wrote the page to the WAL and then synced the WAL."""
    page = next((call for call in calls if call.is_of(("pwrite64",), wal) and text in call.arguments), None)
    assert page is not None, f"no page with {text} was written to {wal.name}"
    syncs = (call for call in calls if call.thread == page.thread and call.is_of(SYNCS, wal))
    synced = next((sync.end for sync in syncs if sync.begin > page.end), None)
    assert synced is not None, f"{text} was answered before {wal.name} was synced"
    return Commit(page.begin, synced)


def check_files(calls: list[Call], root: Path, commit: Commit) -> list[str]:
    """The names that files and folders below root got, apart from hidden ones.

    Before: all that was written to the file was synced. Afterwards: its folder was synced, before the commit.
    """
    named, unsynced = [], set[str]()
    for call in calls:
        target = Path(call.paths[-1]) if call.name in (*NAMES, *FOLDERS) and call.paths else root
        if root in target.parents and not target.relative_to(root).parts[0].startswith("."):
            syncs = (sync.end for sync in calls if sync.is_of(SYNCS, target.parent) and sync.begin > call.end)
            assert next(syncs, commit.synced) < commit.written, f"{target} was recorded before its folder was synced"
            if call.name in NAMES:
                source = _source(call)
                assert not [path for path in unsynced if _is_in(path, source)], f"{source} was not synced: {unsynced}"
                named.append(str(target.relative_to(root)))
        _follow(call, unsynced)
    return named


def _follow(call: Call, unsynced: set[str]) -> None:
    """Keep the set of files that have bytes which are not synced, over the next call."""
    if call.name in WRITES:
        unsynced.update(call.paths[:1])
    elif call.name in SYNCS:
        unsynced.difference_update(call.paths[:1])
    elif call.name in REMOVALS:
        unsynced.difference_update(call.paths)
    elif call.name in NAMES and _source(call) in unsynced:
        unsynced.add(call.paths[-1])
        unsynced.discard(_source(call))


def _source(naming: Call) -> str:
    """The old name of what got a new one."""
    return [path for path in naming.paths if not path.startswith("AT_FDCWD")][-2]


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _is_answer(arguments: str) -> bool:
    return "<TCP" in arguments[:40] and '"HTTP/1.1 ' in arguments[:200] and '"HTTP/1.1 1' not in arguments[:200]


def _read(file: Path) -> list[Call]:
    calls, open_ = [], dict[int, tuple[int, str, str]]()
    for number, line in enumerate(file.read_text(errors="replace").splitlines()):
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        thread, rest = int(match["thread"]), match["rest"]
        begin, name, head = open_.pop(thread, (number, "", "")) if match["resumed"] else (number, match["call"], "")
        if rest.endswith(" <unfinished ...>"):
            open_[thread] = (begin, name, rest.removesuffix(" <unfinished ...>"))
        elif (end := _END.match(rest)) and name and not end["result"].startswith(("-", "?")):
            calls.append(Call(thread, name, head + end["arguments"], begin, number))
    return calls
