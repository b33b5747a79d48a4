"""The files of tracks that people take away: with the tags and the cover of this moment."""

import json
from typing import BinaryIO, NamedTuple

from files.cache import TAGGED
from files.covers import version_of
from files.derived import Recipe, drawn_cover, short_digest
from models import Track
from web.current import services
from web.tags import tags_of


class Tagged(NamedTuple):
    """A sound file with tags, open to read, and the title in them."""

    file: BinaryIO
    title: str


def open_tagged(track: Track, kind: str) -> Tagged:
    """A track as a file of this kind: mp3, flac or wav. Raises NotFound, and BeingMade if a file is not there.

    If its cover cannot be drawn, the file has none. Its name in the cache contains a digest of the tags and the
    uploaded cover. So a file is not used any more when one of them has changed.
    """
    tags, files = tags_of(track), services().track_files
    text, uploaded = json.dumps(tags.to_json()), services().storage.cover(track.track_id)
    version, first = version_of(uploaded), files.find(track)
    suffix = f"{TAGGED}-{short_digest(f'{version} {text}')}.{kind}"
    if version is None:
        cover, command = drawn_cover(tags.title), ("files.tagged", kind)
        recipe = Recipe(suffix, command, needs=cover, beside=first, is_strict=False, text=text)
    else:
        recipe = Recipe(suffix, ("files.tagged", kind, str(uploaded)), text=text)
    return Tagged(files.open_derived(track, recipe, "mp3" if kind == "mp3" else "wav"), tags.title)
