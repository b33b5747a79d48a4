"""The storage folder: nothing outside it is read or removed, and files are there whole or not at all."""

import errno
import os
import time
from pathlib import Path

import pytest

from errors import StorageFull, StorageUnusable
from files import cache
from files.attempts import remove_attempt
from files.cache import DERIVED
from files.publishing import publish, publish_file
from files.refusals import storage_errors
from files.storage import Storage
from settings import Settings

# What stands for the folder outside, below which there is a secret.
ATTACKS = [
    "../secret.wav",
    "jobs/../../secret.wav",
    "{outside}/secret.wav",
    "%2e%2e/secret.wav",
    "..%2fsecret.wav",
    "%252e%252e%252fsecret.wav",
    "..\\secret.wav",
    "../output-evil/secret.wav",
    "{outside}/output-evil/secret.wav",
    "link.wav",
    "linked/secret.wav",
    "fifo.wav",
    "circle.wav",
    "circle/x.wav",
    ".parts/secret.wav",
    ".env",
    "jobs/one/.hidden",
    "jobs",
    "",
    ".",
    "..",
    "a\0b.wav",
    "\udcff.wav",
    "x" * 5000,
    "/dev/zero",
    "/proc/self/environ",
]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A storage folder beside secrets, with a link, a linked folder and a FIFO in it."""
    made = Storage(Settings(_env_file=None, storage_dir=tmp_path / "output"))
    for folder in (made.root / "jobs", tmp_path / "output-evil"):
        folder.mkdir(parents=True)
    for secret in (tmp_path / "secret.wav", tmp_path / "output-evil" / "secret.wav"):
        secret.write_text("secret")
    (made.root / "link.wav").symlink_to(tmp_path / "secret.wav")
    (made.root / "linked").symlink_to(tmp_path)
    os.mkfifo(made.root / "fifo.wav")
    (made.root / "circle").symlink_to(made.root / "circle")
    for hidden in (made.root / ".parts" / "secret.wav", made.root / ".env", made.root / "jobs" / "one" / ".hidden"):
        hidden.parent.mkdir(parents=True, exist_ok=True)
        hidden.write_text("secret")
    (made.root / "inside.wav").write_text("inside")
    return made


def everything(folder: Path) -> set[Path]:
    """All names below a folder, links not followed."""
    return {Path(place, name) for place, folders, files in os.walk(folder) for name in folders + files}


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_outside_the_folder_is_opened_or_removed(storage: Storage, name: str) -> None:
    name = name.format(outside=storage.root.parent) if "{" in name else name
    before = everything(storage.root.parent)
    assert storage.open(name) is None and storage.find(name) is None and storage.owned(name, []) is None
    storage.remove([path for path in [storage.locate(name)] if path])
    assert everything(storage.root.parent) == before


@pytest.mark.parametrize("name", ["inside.wav", "{root}/inside.wav"])
def test_a_file_inside_is_opened_and_removed(storage: Storage, name: str) -> None:
    name = name.format(root=storage.root)
    with storage.open(name) or pytest.fail(name) as file:
        assert file.read() == b"inside"
    storage.remove([storage.owned(name, []) or pytest.fail(name)])
    assert not (storage.root / "inside.wav").exists()


def test_what_was_derived_from_a_file_goes_with_it(storage: Storage) -> None:
    derived = storage.derived(storage.root / "inside.wav", "mp3")
    publish_file(part_of(storage, "derived"), derived)
    storage.remove([storage.root / "inside.wav"])
    assert not everything(storage.root / DERIVED)


def test_no_record_can_name_a_derived_file(storage: Storage) -> None:
    derived = storage.derived(storage.root / "inside.wav", "mp3")
    publish_file(part_of(storage, "derived"), derived)
    for name in (storage.relative(derived), str(derived)):
        assert storage.open(name) is None and storage.owned(name, []) is None


def test_derived_files_go_when_their_source_is_gone_or_changed(storage: Storage) -> None:
    for name in ("kept.wav", "changed.wav", "gone.wav"):
        (storage.root / name).write_text("sound")
        publish_file(part_of(storage, name), storage.derived(storage.root / name, "mp3"))
    (storage.root / "changed.wav").write_text("another sound")
    (storage.root / "gone.wav").unlink()
    cache.sweep(storage.root)
    kept = storage.derived(storage.root / "kept.wav", "mp3")
    assert everything(storage.root / DERIVED) == {kept.parent, kept} and kept.read_text() == "kept.wav"


def test_a_derived_file_of_an_earlier_version_is_not_used(storage: Storage) -> None:
    before = storage.derived(storage.root / "inside.wav", "mp3")
    (storage.root / "inside.wav").write_text("longer inside")
    longer = storage.derived(storage.root / "inside.wav", "mp3")
    os.utime(storage.root / "inside.wav", ns=(0, 1))
    assert len({before, longer, storage.derived(storage.root / "inside.wav", "mp3")}) == 3


def test_a_folder_that_vanishes_before_the_file_arrives_is_made_again(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    final, rename = storage.folder("track", "t") / "a.wav", os.rename

    def rename_too_late(part: Path, path: Path) -> None:
        monkeypatch.undo()
        final.parent.rmdir()
        rename(part, path)

    monkeypatch.setattr(os, "rename", rename_too_late)
    publish_file(part_of(storage, "sound"), final)
    assert final.read_text() == "sound"


def test_a_part_that_vanishes_is_no_endless_loop(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        publish_file(storage.part(), storage.root / "a.wav")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_called_full(code: int) -> None:
    with pytest.raises(StorageFull, match="free some space"), storage_errors():
        raise OSError(code, os.strerror(code), "/a/path")


@pytest.mark.parametrize(
    ("code", "why"),
    [(errno.EROFS, ", because its disk is read-only"), (errno.EACCES, ": give"), (errno.EPERM, ": give")],
)
def test_a_folder_without_the_right_to_write_is_called_so(code: int, why: str) -> None:
    with pytest.raises(StorageUnusable, match=f"cannot be written{why}") as refused, storage_errors():
        raise OSError(code, os.strerror(code), "/a/path")
    assert "/a/path" not in str(refused.value)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOENT, errno.EMFILE, errno.ENAMETOOLONG])
def test_any_other_error_of_the_disk_is_not_called_full(code: int) -> None:
    with pytest.raises(StorageUnusable, match="log says why"), storage_errors():
        raise OSError(code, os.strerror(code), "/a/path")


def test_a_file_in_the_folder_of_another_record_is_not_owned(storage: Storage) -> None:
    theirs = storage.folder("job", "other") / "attempt" / "song.wav"
    publish_file(part_of(storage, "song"), theirs)
    name = storage.relative(theirs)
    assert storage.owned(name, [storage.folder("job", "mine")]) is None
    assert storage.owned(name, [storage.folder("job", "other")]) == theirs


def test_a_folder_is_removed_but_for_links_and_fifos(storage: Storage) -> None:
    folder = storage.folder("job", "two")
    (folder / "attempt").mkdir(parents=True)
    (folder / "attempt" / "song.wav").write_text("song")
    (folder / "attempt" / "link.wav").symlink_to(storage.root.parent / "secret.wav")
    (folder / "out").symlink_to(storage.root.parent)
    remove_folder(storage, "job", "two")
    assert everything(folder) == {folder / "attempt", folder / "attempt" / "link.wav", folder / "out"}
    assert (storage.root.parent / "secret.wav").exists()


def test_a_record_folder_that_is_a_link_stays(storage: Storage) -> None:
    storage.folder("job", "evil").symlink_to(storage.root.parent / "output-evil")
    remove_folder(storage, "job", "evil")
    assert (storage.root.parent / "output-evil" / "secret.wav").exists()


def test_an_empty_record_folder_goes_with_its_files(storage: Storage) -> None:
    publish_file(part_of(storage, "x"), storage.folder("track", "t") / "a.wav")
    remove_folder(storage, "track", "t")
    assert not storage.folder("track", "t").exists()


def remove_folder(storage: Storage, kind: str, record_id: str) -> None:
    """Remove all that was made for a record."""
    storage.remove(storage.files(kind, record_id))
    storage.remove_empty(kind, record_id)


def part_of(storage: Storage, text: str) -> Path:
    """An unfinished file with this text."""
    part = storage.part()
    part.write_text(text)
    return part


def test_a_published_file_replaces_a_link_rather_than_what_it_points_to(storage: Storage) -> None:
    publish_file(part_of(storage, "new"), storage.root / "link.wav")
    assert (storage.root / "link.wav").read_text() == "new" and not (storage.root / "link.wav").is_symlink()
    assert (storage.root.parent / "secret.wav").read_text() == "secret"


def test_a_published_folder_has_everything(storage: Storage) -> None:
    work = storage.root / ".work"
    (work / "deep").mkdir(parents=True)
    (work / "deep" / "a.wav").write_text("a")
    publish(work, storage.root / "done")
    assert (storage.root / "done" / "deep" / "a.wav").read_text() == "a" and not work.exists()


def test_parts_nobody_writes_to_any_more_are_removed(storage: Storage) -> None:
    old, new = part_of(storage, "old"), part_of(storage, "new")
    os.utime(old, (time.time() - 4000,) * 2)
    storage.remove_old_parts(in_use=())
    assert new.exists() and not old.exists()


@pytest.mark.parametrize("token", ["", "-", "9b2f6c1e-", "job/..", "..", "9B2F6C1E04AA", "9b2f6c1e04a"])
def test_a_lease_that_names_no_attempt_removes_nothing(storage: Storage, token: str) -> None:
    publish_file(part_of(storage, "song"), storage.folder("job", "one") / "song.wav")
    before = everything(storage.root)
    remove_attempt(storage, "job", "one", token)
    assert everything(storage.root) == before
