"""Lays out a home folder as the recipes expect it: the repository of each generator, with a stand-in in the real place.

stable-audio-tools and audiocraft have no command line: there the stand-ins are modules of the generator's Python.
"""

import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from tests.service import ROOT

STANDINS = ROOT / "tests" / "standins"
MODULES = STANDINS / "modules"
RECIPES = ROOT / "recipes"
SECONDS = 60  # of a stand-in; a run takes less than one


@dataclass(frozen=True)
class Repository:
    """A clone: its folder in the home folder, stand-ins by their real places, and empty files that it needs."""

    folder: str
    programs: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()


REPOSITORIES = {
    "diffrhythm": Repository(
        "DiffRhythm",
        {"infer/infer.py": "infer.py", "infer/infer_utils.py": "infer_utils.py"},
        (
            *("config/diffrhythm-1b.json", "g2p/g2p/vocab.json", "g2p/sources/g2p_chinese_model/polychar.txt"),
            "infer/example/vocal.npy",
        ),
    ),
    "diffrhythm2": Repository("DiffRhythm2", {"inference.py": "diffrhythm2.py"}, ("g2p/g2p/vocab.json",)),
    "ace_step": Repository("ACE-Step-1.5", {"cli.py": "ace_step.py"}),
    "yue": Repository(
        "YuE",
        {"inference/infer.py": "yue.py"},
        ("inference/mm_tokenizer_v0.2_hf/tokenizer.model", "inference/xcodec_mini_infer/final_ckpt/config.yaml"),
    ),
    "heartmula": Repository(
        "heartlib",
        {"examples/run_music_generation.py": "heartmula.py"},
        (
            *("ckpt/HeartMuLa-oss-3B/config.json", "ckpt/HeartCodec-oss/config.json", "ckpt/tokenizer.json"),
            *("ckpt/gen_config.json", "assets/lyrics.txt", "assets/tags.txt"),
        ),
    ),
    "songgeneration": Repository(
        "SongGeneration",
        {"generate.py": "songgeneration.py", "generate.sh": "songgeneration.sh"},
        ("songgeneration_base_new/config.yaml", "tools/new_auto_prompt.pt"),
    ),
    "songbloom": Repository(
        "SongBloom", {"infer.py": "songbloom.py"}, ("SongBloom/g2p/cn_zh_g2p/nltk_data/corpora/cmudict.zip",)
    ),
    "stable_audio_open": Repository("stable-audio-tools"),
    "musicgen": Repository("audiocraft"),
}


NAMES = sorted(path.stem for path in RECIPES.glob("*.toml"))
COMMANDS = [name for name in NAMES if REPOSITORIES[name].programs]  # the others have no command line


def lay_out_all(home: Path) -> Path:
    """Make every repository, and a generators.toml with every recipe and a GPU of its own; returns its path."""
    for name in NAMES:
        lay_out(home, name)
    recipes = "\n".join((RECIPES / f"{name}.toml").read_text() for name in NAMES)
    path = home / "generators.toml"
    path.write_text(recipes.replace('gpu = "0"', f'gpu = "test-{uuid.uuid4().hex}"'))
    return path


def lay_out(home: Path, name: str) -> Path:
    """Make the repository of one generator in a home folder; returns its folder."""
    repository = REPOSITORIES[name]
    folder = home / repository.folder
    for place, standin in repository.programs.items():
        copy(STANDINS / standin, folder / place)
        copy(STANDINS / "standin.py", (folder / place).with_name("standin.py"))
    for path in repository.files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("{}")
    add_python(folder)
    if not (home / "diffrhythm-ledger").exists():
        (home / "diffrhythm-ledger").symlink_to(ROOT)
    return folder


def copy(source: Path, target: Path) -> None:
    """Copy a file and make its folders."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def add_python(folder: Path) -> None:
    """The Python of a generator: ours, with the modules that stand in for torch, stable-audio-tools and audiocraft."""
    program = folder / ".venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    modules = f"{MODULES}:{STANDINS}"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}{modules}" exec {sys.executable} "$@"\n')
    program.chmod(0o755)
    (program.parent / "python3").symlink_to("python")


def environment(folder: Path, **changes: str) -> dict[str, str]:
    """The environment of a stand-in: its Python comes first, and it takes no time."""
    path = f"{folder / '.venv' / 'bin'}:{os.environ['PATH']}"
    return {"PATH": path, "STANDIN_SECONDS": "0", "LC_ALL": "C.UTF-8", **changes}


def run(folder: Path, *words: str, cwd: Path | None = None, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a repository, with empty standard input; stderr is part of stdout."""
    return subprocess.run(
        words, cwd=cwd or folder, env=environment(folder, **changes), stdin=subprocess.DEVNULL, timeout=SECONDS,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
