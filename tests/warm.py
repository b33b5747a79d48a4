"""Warm generators in tests: the stand-in, what it was asked, and a worker as a process of its own."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from studio.messages import Message
from studio.warm import Warm, WarmRecipe
from studio.warm_process import WarmProcess
from tests.service import ROOT, clean_environment

SERVE = (sys.executable, str(ROOT / "tests" / "standins" / "serve.py"))
FOREVER = 60.0
WORKER = """
import sys, time
from pathlib import Path
from studio.warm import Warm
from tests.warm import make, recipe

gpu, prompt, folder, warm = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Warm()
while not warm.reserve(gpu):
    warm.ask(gpu)
    time.sleep(0.01)
make(warm, recipe(folder, gpu=gpu), prompt)
warm.leave(gpu)
print("made", flush=True)
while True:
    warm.tend(time.monotonic())
    time.sleep(0.01)
"""


def recipe(folder: Path, **changes: Any) -> WarmRecipe:
    """The recipe of the stand-in. It runs in this folder and records there what it does."""
    usual = WarmRecipe("serve", (*SERVE, str(folder)), folder, {"SERVE_RECORD": str(folder / "record")})
    environment = {**usual.environment, **changes.pop("environment", {})}
    return replace(usual, environment=environment, **changes)


def serving(guard: int) -> psutil.Process:
    """The stand-in below the guard with this id."""
    below = psutil.Process(guard).children(recursive=True)
    return next(process for process in below if SERVE[1] in process.cmdline()[1:2])


def start(folder: Path, **environment: str) -> WarmProcess:
    """The stand-in, without a GPU."""
    made = recipe(folder, environment=environment)
    return WarmProcess(list(made.command), made.folder, made.environment)


def ask(process: WarmProcess, folder: Path, prompt: str = "folk", seconds: float = FOREVER) -> list[Message]:
    """All messages of a request; its log is `log` in this folder."""
    return list(process.request(order(folder, prompt), folder / "log", lambda: False, seconds))


def make(warm: Warm, made: WarmRecipe, prompt: str = "folk") -> list[Message]:
    """All messages of a request to the process of a recipe."""
    return list(warm.request(made, order(made.folder, prompt), made.folder / "log", lambda: False, FOREVER))


def order(folder: Path, prompt: str = "folk") -> dict[str, Any]:
    """A request without its id."""
    return {"prompt": prompt, "output_dir": str(folder)}


def records(folder: Path) -> list[str]:
    """What the stand-in has recorded."""
    path = folder / "record"
    return path.read_text().splitlines() if path.exists() else []


def worker(folder: Path, gpu: str, prompt: str = "folk") -> subprocess.Popen[str]:
    """A worker that waits for a GPU, makes one piece, prints `made`, and keeps its process warm."""
    command = [sys.executable, "-c", WORKER, gpu, prompt, str(folder)]
    environment = clean_environment()
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
