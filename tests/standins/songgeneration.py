"""Stands in for SongGeneration's generate.py: JSON Lines in, audios/IDX.flac out, exit code 0 without a GPU.

STANDIN_BEHAVIOUR=no_cuda is a machine without a GPU.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import standin

STYLES = (
    *("Pop", "Latin", "Rock", "Electronic", "Metal", "Country", "R&B/Soul", "Ballad", "Jazz", "World", "Hip-Hop"),
    *("Funk", "Soundtrack", "Auto"),
)


def main() -> None:
    options = arguments()
    if standin.behaviour() == "no_cuda":
        print("CUDA is not available", flush=True)
        exit()
    print("use generate_lowmem" if options.low_mem else "use generate", flush=True)
    for path in (Path(options.ckpt_path) / "config.yaml", Path("tools/new_auto_prompt.pt")):
        path.read_bytes()
    with open(options.input_jsonl) as file:
        songs = [read_row(json.loads(line)) for line in file.readlines()]
    standin.record(songs=songs, options=vars(options), python_path=os.environ.get("PYTHONPATH", ""))
    for folder in ("audios", "jsonl"):
        os.makedirs(f"{options.save_dir}/{folder}", exist_ok=True)
    for number, song in enumerate(songs):
        standin.misbehave(Path(f"{options.save_dir}/audios/{song['idx']}.flac"))
        standin.run_through(standin.steps(50, share=1 / len(songs)))
        for end in ("_vocal", "_bgm", "") if options.generate_type == "separate" else ("",):
            standin.write_song(f"{options.save_dir}/audios/{song['idx']}{end}.flac", rate=48000, pitch=number)
        print(f"process{song['idx']}, lm cost 61.2s, diffusion cost 8.4", flush=True)
    name = os.path.split(options.input_jsonl)[-1]
    Path(f"{options.save_dir}/jsonl/{name}.jsonl").write_text("".join(f"{json.dumps(song)}\n" for song in songs))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Song Generation Script")
    parser.add_argument("--ckpt_path", type=str, required=True)
    parser.add_argument("--input_jsonl", type=str, required=True)
    parser.add_argument("--save_dir", type=str, required=True)
    parser.add_argument("--generate_type", type=str, default="mixed")
    parser.add_argument("--use_flash_attn", action="store_true")
    parser.add_argument("--low_mem", action="store_true")
    return parser.parse_args()


def read_row(row: dict[str, Any]) -> dict[str, Any]:
    """The song of a row: its sections, and its style as the model reads it."""
    if "prompt_audio_path" in row:
        assert os.path.exists(row["prompt_audio_path"]), f"prompt_audio_path {row['prompt_audio_path']} not found"
        assert "auto_prompt_audio_type" not in row, (
            "auto_prompt_audio_type and prompt_audio_path cannot be used together"
        )
    elif "auto_prompt_audio_type" in row:
        style = row["auto_prompt_audio_type"]
        assert style in STYLES, f"auto_prompt_audio_type {style} not found"
    sung = [section.strip() for section in row["gt_lyric"].replace("  ", " ").split(";")]
    return {**row, "idx": f"{row['idx']}", "sung": sung, "style": row.get("descriptions", ".").lower()}


if __name__ == "__main__":
    main()
