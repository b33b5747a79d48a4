"""Stands in for HeartMuLa's examples/run_music_generation.py: milliseconds, and paths that are sung if mistyped.

The folder of the model must be complete. The folder of the output is not made. The format is the end of its name.
"""

import argparse
import os
from pathlib import Path

import standin

TRUE, FALSE = ("yes", "y", "true", "t", "1"), ("no", "n", "false", "f", "0")
DTYPES = ("float32", "fp32", "float16", "fp16", "bfloat16", "bf16")


def main() -> None:
    options = arguments()
    check_model(Path(options.model_path), options.version)
    tags, lyrics = text_of(options.tags), text_of(options.lyrics)
    standin.record(tags=tags, lyrics=lyrics, sung=lyrics.split("\n"), milliseconds=options.max_audio_length_ms)
    standin.misbehave(Path(options.save_path))
    frames = options.max_audio_length_ms // 80
    for number in standin.steps(frames, share=0.9):
        if number > frames * 0.8:  # the end of the song, before the bar is full
            break
    print(flush=True)
    standin.run_through(standin.steps(10, share=0.1))
    standin.write_song(options.save_path, rate=48000)
    print(f"Generated music saved to {options.save_path}", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_path", type=str, required=True)
    parser.add_argument("--version", type=str, default="3B")
    parser.add_argument("--lyrics", type=str, default="./assets/lyrics.txt")
    parser.add_argument("--tags", type=str, default="./assets/tags.txt")
    parser.add_argument("--save_path", type=str, default="./assets/output.mp3")
    parser.add_argument("--max_audio_length_ms", type=int, default=240_000)
    parser.add_argument("--topk", type=int, default=50)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--cfg_scale", type=float, default=1.5)
    parser.add_argument("--mula_device", type=str, default="cuda")
    parser.add_argument("--codec_device", type=str, default="cuda")
    parser.add_argument("--mula_dtype", type=dtype, default="bfloat16")
    parser.add_argument("--codec_dtype", type=dtype, default="float32")
    parser.add_argument("--lazy_load", type=yes_or_no, default=False)
    return parser.parse_args()


def yes_or_no(text: str) -> bool:
    if text.lower() in (*TRUE, *FALSE):
        return text.lower() in TRUE
    raise argparse.ArgumentTypeError(f"Boolean value expected. Got: {text}")


def dtype(text: str) -> str:
    if text.lower() in DTYPES:
        return text.lower()
    raise argparse.ArgumentTypeError(f"Dtype not recognized: {text}")


def check_model(folder: Path, version: str) -> None:
    """Raise FileNotFoundError if a part of the model is missing."""
    for name in (f"HeartMuLa-oss-{version}", "HeartCodec-oss", "tokenizer.json", "gen_config.json"):
        if not (folder / name).exists():
            raise FileNotFoundError(f"Expected to find {name} at {folder / name} but not found.")


def text_of(argument: str) -> str:
    """The text of a file, or the argument itself if there is no such file; lower case."""
    if os.path.isfile(argument):
        argument = Path(argument).read_text(encoding="utf-8")
    return argument.lower()


if __name__ == "__main__":
    main()
