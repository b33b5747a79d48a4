"""The documents tell the truth: their snippets run, and they name every route, setting and command."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask

from settings import Settings
from tests.conftest import on_sqlite
from tests.documents import PAGES, Block, anchors, blocks, commands, links, matches, text_of_all
from tests.service import ROOT, Server, clean_environment

README = ROOT / "README.md"
SERVICE = "http://127.0.0.1:8000"
RAIN = {
    "job_id": "rain",
    "job_type": "synth",
    "prompt": "ambient rain, soft piano",
    "metadata": {"genre": "Ambient"},
}
RAIN_TRACK = {"track_id": "rain-1", "duration": 30.5, "metadata": {"track_name": "Rain"}}


def pages_with(language: str) -> list[str]:
    """The names of the pages that have a block of this language to run."""
    return [str(page.relative_to(ROOT)) for page in PAGES if any(block.runs for block in blocks(language, page))]


@pytest.mark.parametrize("name", pages_with("python"))
def test_the_python_of_a_page_runs_as_it_stands(name: str, tmp_path: Path) -> None:
    env = clean_environment(DB_PATH=str(tmp_path / "app.db"), PYTHONPATH=str(ROOT))
    for block in blocks("python", ROOT / name):
        if block.runs:
            script = [sys.executable, "-c", block.text]
            done = subprocess.run(script, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
            assert (done.returncode, done.stderr) == (0, ""), block.text


@pytest.mark.parametrize("name", pages_with("console"))
def test_the_commands_of_a_page_answer_as_it_says(name: str, server: Callable[..., Server], tmp_path: Path) -> None:
    running = server().start()
    if name != "README.md":
        prepare(running)
    for block in blocks("console", ROOT / name):
        for command, shown in commands(block) if block.runs else []:
            output = run(command.replace(SERVICE, running.url), tmp_path)
            assert not shown or matches(shown, output), f"{command}\nsays: {output}\nnot:  {shown}"


def prepare(running: Server) -> None:
    """The job of README and a track of it, which the examples of the other pages use."""
    assert running.call("POST", "/api/jobs", RAIN)[0] == 201
    assert running.call("POST", "/api/jobs/rain/tracks", RAIN_TRACK)[0] == 201


def run(command: str, folder: Path) -> str:
    """What a shell command prints; a page shows no command that fails."""
    done = subprocess.run(["sh", "-ec", command], cwd=folder, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("language", ["python", "json", "sh"])
def test_blocks_that_are_not_run_can_be_read_by_their_language(language: str) -> None:
    read: dict[str, Callable[[Block], object]] = {
        "python": lambda block: compile(block.text, str(block.page), "exec"),
        "json": lambda block: json.loads(block.text),
        "sh": lambda block: subprocess.run(["sh", "-n", "-c", block.text], check=True, capture_output=True),
    }
    for block in blocks(language):
        read[language](block)
    assert blocks(language)


def test_every_block_says_its_language() -> None:
    for page in PAGES:
        fences = re.findall("^```(.*)$", page.read_text(), re.M)
        assert all(fences[::2]) and not any(fences[1::2]), page


def test_the_readme_is_short_and_shows_an_answer_near_the_top() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 250
    assert any(line.startswith("$ curl") for line in lines[:40])
    assert any(line.startswith('{"job_id":"rain"') for line in lines[:40])


@on_sqlite
def test_every_route_is_in_the_documents(app: Flask) -> None:
    text = text_of_all()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            assert path.startswith("/docs/") or f"`{method} {path}`" in text, f"{method} {path}"


@on_sqlite
def test_every_address_in_the_documents_exists(app: Flask) -> None:
    routes = app.url_map.bind("localhost")
    named = re.findall(r"(?:GET|PUT|POST|PATCH|DELETE|`) ?(/api/[^\s`?\"')]*)", text_of_all())
    paths = {re.sub(r"{\w+}", "1", path) for path in named}
    assert len(paths) > 25
    assert [path for path in sorted(paths) if not routes.allowed_methods(path)] == []


def test_every_setting_is_in_the_table_and_the_example() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \| (.+) \|$", (ROOT / "docs/settings.md").read_text(), re.M)
    example = dict(re.findall("^([A-Z_]+)=(.*)", (ROOT / ".env.example").read_text(), re.M))
    assert sorted(name for name, *_ in rows) == sorted(name.upper() for name in Settings.model_fields)
    assert {name: default.strip("`").replace("none", "") for name, default, *_ in rows} == example


def test_the_settings_in_the_examples_of_pages_exist() -> None:
    names = [name for block in blocks("env") for name in re.findall("^([A-Z_]+)=", block.text, re.M)]
    assert len(names) > 5 and {name.lower() for name in names} <= set(Settings.model_fields)


def test_the_example_settings_are_the_defaults(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text((ROOT / ".env.example").read_text())
    script = "from settings import Settings, get_settings; assert get_settings() == Settings(_env_file=None)"
    env = clean_environment(PYTHONPATH=str(ROOT))
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env).returncode == 0


@pytest.mark.parametrize("kind", ["sqlite"])
def test_every_command_is_in_the_documents(app: Flask) -> None:
    text = text_of_all()
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M)
    assert [name for name in targets if f"make {name}" not in text] == []
    assert [name for name in app.cli.commands if f"flask {name}" not in text] == []
    assert "run" in targets and "worker" in app.cli.commands


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for link in links(page):
            parts = urlsplit(link)
            target = (page.parent / parts.path).resolve() if parts.path else page
            assert target.exists(), f"{page.name}: {link}"
            assert not parts.fragment or parts.fragment in anchors(target), f"{page.name}: {link}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = {(README.parent / urlsplit(link).path).resolve() for link in links(README)}
    assert [page.name for page in PAGES if page not in {README, *linked}] == []


def test_the_samples_are_the_requests_of_clients() -> None:
    samples = json.loads((ROOT / "tests" / "samples" / "requests.json").read_text())
    assert len(samples) == 12 and all(set(body) == {"prompt", "metadata"} for body in samples)
