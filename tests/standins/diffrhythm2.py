"""Stands in for DiffRhythm 2's inference.py: an input file of JSON Lines, one MP3 a row, rows that are skipped.

A row without lyrics or style is skipped, and the exit code is 0. Lines that are no known tag are sung as words.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import standin

NAMES = "start end intro verse chorus outro inst solo bridge hook break stop space"
TAGS = {f"[{name}]" for name in NAMES.split()}


def main() -> None:
    options = arguments()
    (Path(__file__).parent / "g2p/g2p/vocab.json").read_text()
    print("Total params: 1,105,301,504", flush=True)
    os.makedirs(options.output_dir, exist_ok=True)
    with open(options.input_jsonl) as file:
        rows = [json.loads(line.strip()) for line in file.readlines()]
    songs = [read_row(row, number) for number, row in enumerate(rows)]
    standin.record(rows=rows, songs=[song for song in songs if song], max_secs=options.max_secs)
    for number in standin.steps(len(rows), share=0):  # the bar over the rows, and one over the blocks of each song
        if song := songs[number - 1]:
            path = Path(options.output_dir) / f"{song['name']}.mp3"
            standin.misbehave(path)
            standin.run_through(standin.steps(20, share=1 / len(rows)))
            standin.write_song(path, rate=48000, pitch=number)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repo-id", type=str, default=None)
    parser.add_argument("--output-dir", type=str, default=None)
    parser.add_argument("--input-jsonl", type=str, default=None)
    parser.add_argument("--cfg-strength", type=float, default=2.0)
    parser.add_argument("--max-secs", type=float, default=210.0)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--fake-stereo", type=bool, default=True)
    options = parser.parse_args()
    if options.repo_id is None:
        raise ValueError("repo_id: expected a repository, got None")
    return options


def read_row(row: dict[str, Any], number: int) -> dict[str, Any] | None:
    """The song of a row: its name, tags and sung lines; None if it is skipped."""
    name = row.get("song_name", f"{number:04d}")
    if row.get("lyrics") is None or row.get("style_prompt") is None:
        print(f"lyrics or style_prompt is None, skip {name}", flush=True)
        return None
    with open(row["lyrics"]) as file:
        lines = file.read().split("\n")
    style = "audio" if os.path.isfile(row["style_prompt"]) else "text"
    sung = [line for line in lines if line not in TAGS and line.strip()]
    return {"name": name, "style": style, "tags": [line for line in lines if line in TAGS], "sung": sung}


if __name__ == "__main__":
    main()
