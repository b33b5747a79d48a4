"""The documents tell the truth: README's snippets run, and every route, setting and command is told."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from settings import Settings
from tests.conftest import ROOT, Server, clean_environment

README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)


def test_the_python_of_the_readme_runs_as_it_stands(tmp_path: Path) -> None:
    env = clean_environment(DB_PATH=str(tmp_path / "new" / "app.db"), PYTHONPATH=str(ROOT))
    for snippet in PYTHON:
        done = subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    assert len(PYTHON) == 2


def test_the_curls_of_the_readme_answer_as_it_says(server: Callable[..., Server]) -> None:
    running = server().start()
    commands = re.findall(r"^\$ (curl (?:.*\\\n)*.*)\n(\{.*\})?", README, re.M)
    assert len(commands) == 2
    for command, told in commands:
        words = shlex.split(command.replace("\\\n", " ").replace("http://127.0.0.1:8000", running.url))
        answer = json.loads(subprocess.run(words, capture_output=True, check=True, timeout=20).stdout)
        if told:
            changing = {"created_at", "updated_at"}
            shown = json.loads(told)
            assert {k: v for k, v in answer.items() if k not in changing} == {
                k: v for k, v in shown.items() if k not in changing
            }
        else:
            assert (answer["total"], answer["items"][0]["job_id"]) == (1, "rain")


def test_a_curl_with_its_output_stands_near_the_top() -> None:
    assert any(line.startswith("$ curl") for line in README.splitlines()[:40])


@pytest.mark.parametrize("kind", ["sqlite"])
def test_every_route_is_in_the_readme(app: Flask) -> None:
    told = README.replace("/docs/", "/docs")
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule).rstrip("/")
        if not path.startswith("/docs/"):
            assert path in told, path


def test_every_setting_is_in_the_readme_and_the_example() -> None:
    example = (ROOT / ".env.example").read_text()
    for name in Settings.model_fields:
        assert f"`{name.upper()}`" in README and re.search(f"^{name.upper()}=", example, re.M), name
    assert len(re.findall("^[A-Z_]+=", example, re.M)) == len(Settings.model_fields)


def test_the_example_settings_are_the_defaults(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text((ROOT / ".env.example").read_text())
    script = "from settings import Settings, get_settings; assert get_settings() == Settings(_env_file=None)"
    env = clean_environment(PYTHONPATH=str(ROOT))
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env).returncode == 0


def test_every_command_is_in_the_readme() -> None:
    for target in re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(), re.M):
        assert target == "clean" or f"make {target}" in README, target


def test_the_samples_are_the_requests_of_clients() -> None:
    samples = json.loads((ROOT / "tests" / "samples" / "requests.json").read_text())
    assert len(samples) == 12 and all(set(body) == {"prompt", "metadata"} for body in samples)
