"""Generators that copy their reference recording, for tests of these recordings."""

import sys
from pathlib import Path
from typing import Any

import tomli_w
from flask.testing import FlaskClient

from settings import Settings
from tests.own_generator import generator
from tests.sounds import wav_bytes

ADDRESS = "/api/jobs/job-1/reference"
BODY = {"job_id": "job-1", "job_type": "cover", "prompt": "folk"}
COPY = "import shutil; shutil.copy(sys.argv[2], folder / 'copy.wav')"


def with_covers(settings: Settings, folder: Path) -> Settings:
    """The settings with two generators: cover needs a reference recording, and maybe can be posted without one."""
    recipe = generator(folder / "generator", COPY)
    cover = recipe | {"command": [sys.executable, "make.py", "{output_dir}", "{reference_file}"]}
    maybe = recipe | {"command": [sys.executable, "make.py", "{output_dir}", "{?reference_file}{reference_file}"]}
    file = folder / "generators.toml"
    file.write_text(tomli_w.dumps({"cover": cover, "maybe": maybe}))
    return settings.model_copy(update={"generators": file})


def put(client: FlaskClient, body: bytes = b"", job_id: str = "job-1") -> Any:
    """The answer to an upload of two seconds, or of another body."""
    return client.put(f"/api/jobs/{job_id}/reference", data=body or wav_bytes(2))
