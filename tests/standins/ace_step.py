"""Stands in for ACE-Step 1.5's cli.py: one TOML file, failures with exit code 0, and a prompt on standard input.

thinking=true, the default, writes instruction.txt beside this file and waits for Enter; the next run uses a file that
was left there instead of its own prompt. Runs with the same parameters write the same file.
STANDIN_BEHAVIOUR=refused prints a failure and ends with 0; silent saves nothing and reports success.
"""

import argparse
import hashlib
import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import standin

ROOT = Path(__file__).parent
INSTRUCTION = ROOT / "instruction.txt"
LANGUAGE_MODEL = ("thinking", "use_cot_metas", "use_cot_caption", "use_cot_language")
DEFAULTS = {
    "project_root": str(ROOT), "config_path": None, "save_dir": "output", "audio_format": "flac", "caption": "",
    "lyrics": None, "duration": -1.0, "instrumental": False, "bpm": None, "keyscale": "", "timesignature": "",
    "vocal_language": "unknown", "task_type": "text2music", "reference_audio": None, "src_audio": None,
    "inference_steps": 8, "guidance_scale": 7.0, "seed": -1, "seeds": None, "use_random_seed": True, "batch_size": 2,
    "thinking": True, "use_cot_metas": True, "use_cot_caption": True, "use_cot_language": True, "shift": 3.0,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="ACE-Step 1.5: Music generation (wizard/config only).")
    parser.add_argument("-c", "--config", type=str)
    parser.add_argument("--configure", action="store_true")
    parser.add_argument("--log-level", type=str, default="INFO")
    options = parser.parse_args()
    if not options.config or options.configure:
        input("Choose a task (number or name): ")
    song = read_song(parser, options.config)
    print("Initializing ACE-Step handlers...\nHandlers initialized.", flush=True)
    if song["thinking"]:
        think(song)
    standin.record(song=song, sung=song["lyrics"].split("\n"), uses_language_model=any(map(song.get, LANGUAGE_MODEL)))
    print(f'\n--- Starting Generation ---\nCaption: "{song["caption"]}"', flush=True)
    if standin.behaviour() == "refused":
        print("\n❌ Generation failed: CUDA out of memory\n   Status: Error", flush=True)
        return
    os.makedirs(song["save_dir"], exist_ok=True)
    standin.work()
    save(song)


def read_song(parser: argparse.ArgumentParser, config: str) -> dict[str, Any]:
    """The parameters of a file; those that it does not have are the defaults of a machine with a large GPU."""
    if not os.path.exists(config):
        parser.error(f"Config file not found: {config}")
    try:
        song = DEFAULTS | tomllib.loads(Path(config).read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        parser.error(f"Error loading TOML config file {config}: {error}")
    if song["seeds"]:
        song |= {"batch_size": len(song["seeds"]), "use_random_seed": False, "seed": -1}
    if not song["caption"] and not song["lyrics"]:
        parser.error("--caption or --lyrics is required for text2music.")
    if song["instrumental"] and not song["lyrics"]:
        song["lyrics"] = "[Instrumental]"
    return song | {"lyrics": lyrics_of(song["lyrics"] or "", Path(config).absolute().parent)}


def lyrics_of(lyrics: str, folder: Path) -> str:
    """The text of a file, or the lyrics themselves; the word generate lets the language model write some."""
    if lyrics == "generate":
        return "the language model's own words"
    for path in (folder / lyrics, ROOT / lyrics):
        if lyrics and len(lyrics) < 255 and path.is_file():
            print(f"INFO: Attempting to load lyrics from file: {path}", flush=True)
            return path.read_text("utf-8")
    return lyrics


def think(song: dict[str, Any]) -> None:
    """Let a person edit the prompt in a file, or use the file of an earlier run."""
    if INSTRUCTION.exists():
        print(f"INFO: Found {INSTRUCTION}. Using it without editing.", flush=True)
        if left := re.search(r"# Caption\n(.*?)\n+# Lyric\n(.*)", INSTRUCTION.read_text("utf-8"), re.DOTALL):
            song |= {"caption": left[1].strip(), "lyrics": left[2].rstrip()}
        return
    INSTRUCTION.write_text(f"# Caption\n{song['caption']}\n\n# Lyric\n{song['lyrics']}\n", "utf-8")
    print("Edit the file now. Press Enter when ready to continue.", flush=True)
    input()


def save(song: dict[str, Any]) -> None:
    """Write the songs of the batch: the name of each is a hash of its parameters."""
    paths, parameters = [], {key: value for key, value in song.items() if key != "save_dir"}
    for number in range(song["batch_size"]):
        seed = song["seeds"][number] if song["seeds"] else int.from_bytes(os.urandom(4))
        digest = hashlib.sha256(json.dumps({**parameters, "seed": seed}, sort_keys=True).encode()).hexdigest()
        path = Path(song["save_dir"]) / f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}.{song['audio_format']}"
        standin.misbehave(path)
        if standin.behaviour() != "silent":
            standin.write_song(path, rate=48000, pitch=seed)
        paths.append((path if path.exists() else "", seed))
    print(f"\n✅ Generation successful! {len(paths)} audio(s) saved in '{song['save_dir']}/'", flush=True)
    for number, (path, seed) in enumerate(paths, start=1):
        print(f"  [{number}] Path: {path} | Seed: {seed}", flush=True)


if __name__ == "__main__":
    main()
