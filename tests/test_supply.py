"""What is installed: every package has one version and the hashes of its files."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests import audit

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
BASE = PROJECT["project"]["dependencies"]
POSTGRESQL = PROJECT["project"]["optional-dependencies"]["postgresql"]
GROUPS = PROJECT["dependency-groups"]
LISTS = {
    "requirements.txt": BASE,
    "requirements-postgresql.txt": BASE + POSTGRESQL,
    "requirements-dev.txt": BASE + POSTGRESQL + GROUPS["dev"],
    "bench/requirements.txt": BASE + POSTGRESQL + GROUPS["bench"],
}


def locked(file: str) -> dict[str, list[str]]:
    """The hashes of each requirement in a file, such as flask==3.1.3."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / file).read_text(), flags=re.MULTILINE).replace("\\\n", "")
    parts = [line.partition("--hash=") for line in text.splitlines() if line.strip()]
    return {name.partition(";")[0].strip(): (mark + rest).split() for name, mark, rest in parts}


@pytest.mark.parametrize("file", LISTS)
def test_every_package_has_one_version_and_hashes(file: str) -> None:
    for requirement, hashes in locked(file).items():
        assert re.fullmatch(r"[a-z0-9._-]+==[0-9][0-9a-z.+]*", requirement), requirement
        assert hashes and all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", digest) for digest in hashes), requirement


@pytest.mark.parametrize("file", LISTS)
def test_the_files_have_what_the_project_asks_for(file: str) -> None:
    """Red after a change of pyproject.toml without `make lock`."""
    assert {re.sub(r"\[.*\]", "", requirement) for requirement in LISTS[file]} <= set(locked(file))


def test_the_files_agree() -> None:
    for file in LISTS:
        newer = set(locked("requirements.txt")) - set(locked(file))
        assert not newer, f"{file} has other versions than requirements.txt"


def test_make_installs_nothing_without_hashes() -> None:
    installs = [line for line in (ROOT / "Makefile").read_text().splitlines() if "pip install" in line]
    assert [line for line in installs if "--require-hashes" not in line and "uv==" not in line] == []


def test_the_audit_names_what_is_vulnerable_and_what_was_not_checked() -> None:
    packages: list[dict[str, object]] = [
        {"name": "a", "version": "1", "vulns": []},
        {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]},
        {"name": "c", "skip_reason": "not found"},
    ]
    assert audit.look(packages) == (["a", "b"], ["b 2: CVE-1, mended in ['3']"], ["c"])
