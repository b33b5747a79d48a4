"""Stands in for SongBloom's infer.py: JSON Lines with a reference audio in each row, several samples a row."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import soundfile
import standin

MODELS = {
    "songbloom_full_150s": "CypressYang/SongBloom",
    "songbloom_full_150s_dpo": "CypressYang/SongBloom",
    "songbloom_full_240s": "CypressYang/SongBloom_long",
}


def main() -> None:
    if not os.path.isdir(os.environ.get("NLTK_DATA", "")):
        raise LookupError("Resource averaged_perceptron_tagger not found.")
    options = arguments()
    print(f"{options.model_name} of {MODELS[options.model_name]}", flush=True)
    os.makedirs(options.output_dir, exist_ok=True)
    with open(options.input_jsonl) as file:
        songs = [read_row(json.loads(line.strip())) for line in file.readlines()]
    standin.record(songs=songs, options=vars(options))
    for song in songs:
        for sample in range(options.n_samples):
            path = Path(f"{options.output_dir}/{song['idx']}_s{sample}.flac")
            standin.misbehave(path)
            standin.run_through(standin.counts(50, share=1 / len(songs) / options.n_samples))
            standin.write_song(path, rate=48000, pitch=sample)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-name", type=str, default="songbloom_full_150s")
    parser.add_argument("--local-dir", type=str, default="./cache")
    parser.add_argument("--input-jsonl", type=str, required=True)
    parser.add_argument("--output-dir", type=str, default="./output")
    parser.add_argument("--n-samples", type=int, default=2)
    parser.add_argument("--dtype", type=str, default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--device", type=str, default="cuda:0")
    return parser.parse_args()


def read_row(row: dict[str, Any]) -> dict[str, Any]:
    """The song of a row: its sections and the seconds of its reference audio that are used."""
    reference = soundfile.info(row["prompt_wav"])
    sung = [section.strip() for section in row["lyrics"].split(" , ")]
    return {"idx": row["idx"], "sung": sung, "reference_seconds": min(reference.duration, 10)}


if __name__ == "__main__":
    main()
