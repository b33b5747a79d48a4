"""The files of deploy/: units of systemd, the image, the compose file and the alerts; and what the documents say."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import Settings
from tests.conftest import Server
from tests.documents import BLOCK, links
from tests.service import ROOT, UNMEASURED

DEPLOY = ROOT / "deploy"
OPERATIONS = ROOT / "docs" / "operations.md"
UNITS = ["ledger.service", "ledger-worker.service", "ledger-litestream.service"]
MOST_EXPOSURE = 20  # of 100; a unit without any protection has 96
ALERTS = [rule for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SUFFIX = re.compile("_(bucket|sum|count|total|info)$")
OWN_KEYS = {"JoinsNamespaceOf", "Description", "After", "RequiresMountsFor", "ExecStart"}


def run(*command: str | Path) -> None:
    """Run a program; the test fails with its output, and is skipped if the machine does not have the program."""
    if not shutil.which(command[0]):
        pytest.skip(f"needs {command[0]}")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr


def lines(name: str) -> list[tuple[str, str]]:
    """The keys and values of a unit, in order."""
    return re.findall(r"^(\w+)=(.*)$", (DEPLOY / name).read_text(), re.M)


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_correct_and_hardened(name: str, tmp_path: Path) -> None:
    text = (DEPLOY / name).read_text()
    assert "\nUser=ledger\n" in text and re.search("^ExecStart=/(opt|usr)/", text, re.M)
    (tmp_path / name).write_text(re.sub(r"^(ExecStart=)\S+", rf"\g<1>{sys.executable}", text, flags=re.M))
    run("systemd-analyze", "verify", "--man=no", tmp_path / name)
    run("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", tmp_path / name)


def test_a_worker_alone_may_do_what_the_whole_service_may_do() -> None:
    service, worker = ([pair for pair in lines(name) if pair[0] not in OWN_KEYS] for name in UNITS[:2])
    assert service == worker and len(service) > 30


@pytest.mark.parametrize("name", UNITS[:2])
def test_a_unit_starts_what_is_in_the_repository(name: str) -> None:
    command = shlex.split(dict(lines(name))["ExecStart"])
    paths = [Path(word) for word in command[1:] if word.startswith("/")]
    assert command[0] == "/opt/ledger/.venv/bin/python"
    assert paths == [Path("/opt/ledger/app.py")] and (ROOT / "app.py").exists()


def test_the_image_is_pinned_and_not_run_by_root() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    images = [*re.findall(r"^FROM (\S+)", text, re.M), COMPOSE["services"]["postgres"]["image"]]
    assert len(images) == 3 and all(re.fullmatch(r"(python|postgres):\d+(\.\d+)+-[a-z-]+", image) for image in images)
    [user] = re.findall(r"^USER (\d+)$", text, re.M)
    assert int(user) > 0 and text.index("USER") < text.index("CMD [")


def test_the_image_has_all_that_the_service_needs(
    tmp_path: Path, server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in re.findall("^!(.*[^*])$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.M):
        source, target = ROOT / name.rstrip("/"), tmp_path / "image" / name.rstrip("/")
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    monkeypatch.setattr("tests.service.ROOT", tmp_path / "image")
    running = server(WORKERS="1", **UNMEASURED).start()
    assert {running.call("GET", path)[0] for path in ("/readyz", "/docs/", "/openapi.json", "/")} == {200}
    assert check_health(running.port) == 0
    running.stop()
    assert check_health(running.port) == 1


def check_health(port: int) -> int:
    """The exit code of HEALTHCHECK; 0 when the service at this port is ready."""
    [code] = re.findall(r'HEALTHCHECK .*CMD \["python", "-c", \\\n\s+"(.*)"\]', (DEPLOY / "Dockerfile").read_text())
    command = [sys.executable, "-c", code.replace(":8000/", f":{port}/")]
    return subprocess.run(command, stderr=subprocess.DEVNULL, env={**os.environ, **UNMEASURED}).returncode


def test_the_services_of_the_compose_file_set_existing_settings() -> None:
    services: dict[str, Any] = COMPOSE["services"]
    for name in ("web", "worker"):
        assert services[name]["environment"].keys() <= {name.upper() for name in Settings.model_fields}
        assert services[name]["read_only"] and services[name]["cap_drop"] == ["ALL"]
    assert services["worker"]["command"][1:] == shlex.split(dict(lines("ledger-worker.service"))["ExecStart"])[1:]
    assert services["web"]["ports"] == ["127.0.0.1:8000:8000"]


def test_docker_reads_the_compose_file() -> None:
    if subprocess.run("docker compose version", shell=True, capture_output=True).returncode:
        pytest.skip("needs docker compose")
    secrets = {"API_TOKEN": "a", "POSTGRES_PASSWORD": "b"}
    command = ["docker", "compose", "-f", str(DEPLOY / "compose.yaml"), "config", "--quiet"]
    subprocess.run(command, check=True, env={**os.environ, **secrets})


def test_every_metric_and_label_of_an_alert_exists(service: Server) -> None:
    assert service.call("GET", "/api/jobs")[0] == 200
    text = service.call("GET", "/metrics")[1].decode()
    present = {SUFFIX.sub("", name) for name in re.findall(r"^# TYPE (\w+)", text, re.M)}
    expressions = " ".join(rule["expr"] for rule in ALERTS)
    named = {SUFFIX.sub("", name) for name in re.findall(r"\bledger_\w+", expressions)}
    labels = set(re.findall(r'\b(?:route|file)="[^"]+"', expressions))
    assert len(named) > 10 and named - present == set()
    assert len(labels) == 2 and all(label in text for label in labels)


def test_the_alerts_fire_when_they_must(tmp_path: Path) -> None:
    rules = (ROOT / "tests" / "samples" / "alerts.yml").read_text().replace("RULES", str(DEPLOY / "alerts.yml"))
    (tmp_path / "rules.yml").write_text(rules)
    assert f"value: {len(ALERTS)}" in rules
    run("promtool", "test", "rules", tmp_path / "rules.yml")


def test_the_documents_explain_every_alert() -> None:
    rows = re.findall(r"^\| `(Ledger\w+)` \| .+ \| .+ \|$", OPERATIONS.read_text(), re.M)
    assert sorted(rows) == sorted(rule["alert"] for rule in ALERTS)


def test_the_documents_link_every_file_of_deploy_and_copy_none() -> None:
    linked = {Path(link).name for link in links(OPERATIONS) if link.startswith("../deploy/")}
    assert {path.name for path in DEPLOY.iterdir()} - linked == {"Dockerfile.dockerignore"}
    languages = {match[1] for match in BLOCK.finditer(OPERATIONS.read_text())}
    assert languages & {"nginx", "caddy", "dockerfile"} == set()


def test_the_documents_say_what_a_disaster_loses() -> None:
    seconds = re.findall(r"^\s+\w+-interval: (\d+)s$", (DEPLOY / "litestream.yml").read_text(), re.M)
    promise = f"at most {sum(map(int, seconds))} seconds after their commit"
    assert len(seconds) == 2 and promise in OPERATIONS.read_text()
