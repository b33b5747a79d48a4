"""Tags of a track: what a player shows, and what made it."""

import json
from collections.abc import Mapping
from typing import Any

TITLE_CHARACTERS = 120
NAMES = {"title": "track_name", "artist": "artist", "album": "album", "genre": "genre"}  # in the metadata of a job
MADE_BY = ("generator", "version", "seed", "parameters", "licence")  # of the provenance


def tags_of(prompt: str, metadata: Mapping[str, Any], made_by: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a track: title, artist, album, genre, and as comment what made it, as JSON."""
    words = {tag: metadata.get(name) for tag, name in NAMES.items()}
    words["title"] = words["title"] or " ".join(prompt.split())[:TITLE_CHARACTERS]
    made = {name: made_by[name] for name in MADE_BY if made_by.get(name) is not None}
    shown = {tag: str(word) for tag, word in words.items() if isinstance(word, str | int) and word}
    return {**shown, "comment": json.dumps(made, ensure_ascii=False)}
