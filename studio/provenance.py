"""Provenance: what made a track, so that it can be made again."""

import logging
import subprocess
from collections.abc import Mapping
from pathlib import Path

from generators import templates
from generators.recipe import Recipe

log = logging.getLogger("ledger.worker")
VERSION_SECONDS = 30.0
VERSION_CHARACTERS = 200


def version_of(recipe: Recipe, environment: Mapping[str, str], folder: Path) -> str | None:
    """The first line that the command `version` of a recipe prints; None if it has none, or if it fails."""
    if not recipe.version:
        return None
    command = templates.fill(recipe.version, {})
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("the version of %s cannot be read: %s", recipe.name, error)
        return None
    lines = ended.stdout.decode("utf-8", "replace").replace("\0", " ").strip().splitlines()
    return lines[0][:VERSION_CHARACTERS] if lines else None


def shortened(command: list[str], work: Path) -> list[str]:
    """A command line without the path of the work folder, which exists only while the job is made."""
    return [word.replace(f"{work}/", "") for word in command]
