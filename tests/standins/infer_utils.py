"""Stands in for DiffRhythm's infer/infer_utils.py: the signatures of its functions, and the files that they read."""

import json
from pathlib import Path
from typing import Any

import standin

BASE_FRAMES, FULL_FRAMES = 2048, 6144
FRAMES_A_SECOND = 44100 / 2048
DICTIONARY = Path("./g2p/sources/g2p_chinese_model/polychar.txt")
STYLE_SECONDS = 10  # a reference audio is at least as long


def prepare_model(max_frames: int, device: str, repo_id: str = "ASLP-lab/DiffRhythm-1_2") -> tuple[Any, ...]:
    """(cfm, tokenizer, muq, vae). All files are relative to the current folder."""
    json.loads(Path("./config/diffrhythm-1b.json").read_text())
    json.loads(Path("./g2p/g2p/vocab.json").read_text())
    if not DICTIONARY.exists():
        print(f"Incorrect path for polyphonic character class dictionary: {DICTIONARY}, please check...", flush=True)
        exit()
    standin.record(loaded=max_frames)
    return f"cfm of {max_frames} frames", "tokenizer", "muq", "vae"


def get_negative_style_prompt(device: str) -> str:
    """The style that is avoided."""
    return Path("infer/example/vocal.npy").read_bytes().decode("latin-1")


def get_style_prompt(model: Any, wav_path: str | None = None, prompt: str | None = None) -> str:
    """The style of a text or of the middle of a reference audio."""
    if prompt is not None:
        return prompt
    import soundfile

    if not str(wav_path).lower().endswith((".mp3", ".wav", ".flac")):
        raise ValueError(f"Unsupported file format: {Path(str(wav_path)).suffix}")
    assert soundfile.info(wav_path).duration >= STYLE_SECONDS
    return f"the style of {wav_path}"


def get_reference_latent(
    device: str, max_frames: int, edit: bool, pred_segments: Any, ref_song: Any, vae_model: Any
) -> tuple[str, list[tuple[int, int]]]:
    """An empty song and the frames to fill."""
    assert not edit, "this stand-in edits no song"
    return "zeros", [(0, max_frames)]


def get_lrc_token(
    max_frames: int, text: str, tokenizer: Any, max_secs: int, device: str
) -> tuple[list[tuple[float, str]], float, int, float]:
    """(lyrics, start, frames of the song, its share of max_frames)."""
    frames = max_frames if max_frames == BASE_FRAMES else min(int(max_secs * FRAMES_A_SECOND), max_frames)
    return sung_lines(text, max_secs), 0.0, frames, frames / max_frames


def sung_lines(lyrics: str, seconds: int) -> list[tuple[float, str]]:
    """The lines that DiffRhythm sings, by its rules: fixed columns, no line after the end, at 95 s not the last."""
    timed = [line for text in lyrics.strip().split("\n") if (line := timed_line(text))]
    before_the_end = [line for line in timed if line[0] < seconds]
    return before_the_end[:-1] if seconds == 95 else before_the_end


def timed_line(text: str) -> tuple[float, str] | None:
    """A time from columns 1 to 8 and the words from column 10; None for a line that DiffRhythm drops."""
    try:
        minutes, seconds = text[1:9].split(":")
        return int(minutes) * 60 + float(seconds), text[10:].strip()
    except ValueError:
        return None
