"""Makes the file that somebody takes away: python -m files.tagged KIND COVER SOURCE TARGET.

KIND is mp3, flac or wav. COVER is a PNG or a JPEG. Standard input has the tags, as JSON of files.tags. The sound of a
SOURCE of this kind stays byte for byte; any other is encoded. This module runs as a subprocess of the web process, for
the same reasons as files.sound, and with the same exit codes.
"""

import json
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from files.riff import is_exact, is_riff
from files.sound import UNUSABLE, Source, Unusable, become_subprocess, encode, encode_flac
from files.tagging import Untaggable, write_tags
from files.tags import Tags


def make(kind: str, source: Path, target: Path) -> None:
    """Write the sound of a file as another file of this kind. Raises Unusable."""
    if _is_whole(kind, source):
        shutil.copyfile(source, target)
    elif kind == "flac":
        encode_flac(source, target)
    else:
        encode(source, target, "MP3" if kind == "mp3" else "WAV")


def _is_whole(kind: str, path: Path) -> bool:
    """True if a file is of this kind, and no WAV with wrong lengths: no tags can be written into such a WAV."""
    with Source(path) as source:
        return source.kind == kind and (kind != "wav" or not is_riff(path) or is_exact(path))


def main(kind: str, cover: Path, source: Path, target: Path) -> None:
    """Make the file. If it takes no tags, it gets none. If the cover was removed meanwhile, it gets no cover."""
    tags = Tags.from_json(json.load(sys.stdin))
    try:
        make(kind, source, target)
    except Unusable as error:
        print(error, file=sys.stderr)
        sys.exit(UNUSABLE)
    with suppress(Untaggable):
        write_tags(target, kind, tags, cover.read_bytes() if cover.is_file() else None)


if __name__ == "__main__":
    become_subprocess()
    main(sys.argv[1], *map(Path, sys.argv[2:]))
