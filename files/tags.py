"""Tags of a track: what a player shows, and what made it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from generators.timed import TimedLine

WORDS = ("artist", "album", "genre")  # in the metadata of a track and of a job
MADE_BY = ("generator", "version", "seed", "parameters", "licence")  # of the provenance


@dataclass(frozen=True)
class Tags:
    """The tags of a track. An empty text, and None, is no tag.

    lyrics: without times. lines: the lines with times, if there are any. bpm: beats in a minute. take: its number from
    1. takes: how many its job has. comment: what made the track.
    """

    title: str = ""
    artist: str = ""
    album: str = ""
    genre: str = ""
    comment: str = ""
    lyrics: str = ""
    lines: Sequence[TimedLine] = ()
    bpm: int | None = None
    take: int | None = None
    takes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The tags as a JSON object, without those that are not set."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The tags of an object of to_json()."""
        lines = tuple(TimedLine(*line) for line in fields.get("lines", ()))
        return cls(**{**fields, "lines": lines})


def words_in(*metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Artist, album and genre: each from the first of these metadata that has it."""
    words = {name: next(filter(None, (_word(fields.get(name)) for fields in metadata)), None) for name in WORDS}
    return {name: word for name, word in words.items() if word}


def sung(text: Any, lines: Sequence[TimedLine]) -> dict[str, Any]:
    """lyrics and lines of Tags. text: the lyrics as they were sent; lines: those with times."""
    words = "\n".join(line.words for line in lines) or (text if isinstance(text, str) else "")
    return {"lyrics": words.strip(), "lines": tuple(lines)}


def comment_of(made_by: Mapping[str, Any]) -> str:
    """What made a track, as JSON: those parts of its provenance by which it can be made again; "" without one."""
    made = {name: made_by[name] for name in MADE_BY if made_by.get(name) is not None}
    return json.dumps(made, ensure_ascii=False) if made else ""


def _word(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
