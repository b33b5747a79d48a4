"""Stands in for YuE's inference/infer.py: two text files, sections of lyrics, and decoys in subfolders.

The last section of the lyrics is never sung, and one section alone crashes. recons/ and vocoder/ get audio that is not
the song. The genre is part of the name of the song.
"""

import argparse
import os
import re
import uuid
from pathlib import Path

import standin

TOKENIZER = "./mm_tokenizer_v0.2_hf/tokenizer.model"
CODEC = {
    "basic_model_config": "final_ckpt/config.yaml",
    "resume_path": "final_ckpt/ckpt_00360000.pth",
    "config_path": "decoders/config.yaml",
    "vocal_decoder_path": "decoders/decoder_131000.pth",
    "inst_decoder_path": "decoders/decoder_151000.pth",
}
SECTION = re.compile(r"\[(\w+)\](.*?)(?=\[|\Z)", re.DOTALL)


def main() -> None:
    options = arguments()
    output = Path(options.output_dir)
    for folder in ("stage1", "stage2"):
        os.makedirs(output / folder, exist_ok=True)
    for path in (TOKENIZER, options.basic_model_config):
        Path(path).read_bytes()
    with open(options.genre_txt) as file:
        genres = file.read().strip()
    with open(options.lyrics_txt) as file:
        sections = [f"[{tag}]\n{words.strip()}" for tag, words in SECTION.findall(file.read())]
    segments = min(options.run_n_segments + 1, len(sections))
    sung = sections[: max(segments - 1, 0)]
    standin.record(genres=genres, sections=sections, sung=sung, seed=options.seed)
    name = f"{genres.replace(' ', '-')}_tp0@93_T1@0_rp1@1_maxtk{options.max_new_tokens}_{uuid.uuid4()}"
    standin.misbehave(output / f"{name}_mixed.mp3")
    generate(options, output, name, len(sung))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stage1_model", type=str, default="m-a-p/YuE-s1-7B-anneal-en-cot")
    parser.add_argument("--stage2_model", type=str, default="m-a-p/YuE-s2-1B-general")
    parser.add_argument("--max_new_tokens", type=int, default=3000)
    parser.add_argument("--repetition_penalty", type=float, default=1.1)
    parser.add_argument("--run_n_segments", type=int, default=2)
    parser.add_argument("--stage2_batch_size", type=int, default=4)
    parser.add_argument("--genre_txt", type=str, required=True)
    parser.add_argument("--lyrics_txt", type=str, required=True)
    parser.add_argument("--use_audio_prompt", action="store_true")
    parser.add_argument("--audio_prompt_path", type=str, default="")
    parser.add_argument("--prompt_start_time", type=float, default=0.0)
    parser.add_argument("--prompt_end_time", type=float, default=30.0)
    parser.add_argument("--use_dual_tracks_prompt", action="store_true")
    parser.add_argument("--vocal_track_prompt_path", type=str, default="")
    parser.add_argument("--instrumental_track_prompt_path", type=str, default="")
    parser.add_argument("--output_dir", type=str, default="./output")
    parser.add_argument("--keep_intermediate", action="store_true")
    parser.add_argument("--disable_offload_model", action="store_true")
    parser.add_argument("--cuda_idx", type=int, default=0)
    parser.add_argument("--seed", type=int, default=42)
    for name, path in CODEC.items():
        parser.add_argument(f"--{name}", type=str, default=f"./xcodec_mini_infer/{path}")
    parser.add_argument("-r", "--rescale", action="store_true")
    options = parser.parse_args()
    if options.use_audio_prompt and not options.audio_prompt_path:
        raise FileNotFoundError("Please offer audio prompt filepath using '--audio_prompt_path'")
    return options


def generate(options: argparse.Namespace, output: Path, name: str, segments: int) -> None:
    """Both stages, the decoys, and the song."""
    tokens = None
    for number in standin.steps(segments + 1, "Stage1 inference...", share=0.5):
        tokens = number if number > 1 else tokens  # the first is the whole of the lyrics, which is not sung
    if tokens is None:
        raise NameError("name 'raw_output' is not defined")
    tracks = [f"{name}_vtrack", f"{name}_itrack"]
    for track in tracks:
        (output / "stage1" / f"{track}.npy").write_bytes(b"tokens")
    print("Stage 2 inference...", flush=True)
    for number in standin.steps(len(tracks), share=0.5):
        (output / "stage2" / f"{tracks[number - 1]}.npy").write_bytes(b"tokens")
    print("Stage 2 DONE.\n", flush=True)
    write_decoys(output, name, tracks)
    print(f"Created mix: {output}/vocoder/mix/{name}_mixed.mp3", flush=True)
    standin.write_song(output / f"{name}_mixed.mp3", pitch=options.seed)


def write_decoys(output: Path, name: str, tracks: list[str]) -> None:
    """Audio of 16 kHz in recons/, and the voice and the instruments alone in vocoder/."""
    for folder in ("recons/mix", "vocoder/mix", "vocoder/stems"):
        os.makedirs(output / folder, exist_ok=True)
    for track in tracks:
        standin.write_song(output / "recons" / f"{track}.mp3", rate=16000)
    standin.write_song(output / "recons/mix" / f"{name}_mixed.mp3", rate=16000)
    for stem in ("itrack", "vtrack"):
        standin.write_song(output / "vocoder/stems" / f"{stem}.mp3")
    standin.write_song(output / "vocoder/mix" / f"{name}_mixed.mp3")


if __name__ == "__main__":
    main()
