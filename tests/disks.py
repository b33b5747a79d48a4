"""Small disks of a test's own, which become full, read-only or broken."""

import os
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

MEGABYTE = 1024 * 1024


class Disk:
    """A tmpfs of so many megabytes, mounted on a folder until close()."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder, self._ballast = folder, folder / "ballast"
        folder.mkdir()
        self._mount(megabytes)

    def _mount(self, megabytes: int) -> None:
        _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(self.folder))

    def fill(self) -> None:
        """Leave no free block."""
        with self._ballast.open("wb", 0) as file:
            for block in (MEGABYTE, 4096):
                with suppress(OSError):
                    while file.write(bytes(block)) == block:
                        pass
        assert shutil.disk_usage(self.folder).free == 0

    def make_room(self) -> None:
        """End fill()."""
        self._ballast.unlink()

    def remount(self, option: str) -> None:
        """Make it read-only ("ro") or not ("rw"); "ro" fails while a file is open to be written."""
        _run("mount", "-o", f"remount,{option}", str(self.folder))

    def close(self) -> None:
        """Unmount it."""
        _run("umount", "-l", str(self.folder))


class BreakingDisk(Disk):
    """An ext4 in a file. When it fails, Linux makes it read-only, also while files are open."""

    def _mount(self, megabytes: int) -> None:
        self._image = self.folder.with_name(f"{self.folder.name}.image")
        with self._image.open("wb") as file:
            file.truncate(megabytes * MEGABYTE)
        _run("mkfs.ext4", "-q", str(self._image))
        self._attach()

    def _attach(self) -> None:
        _run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.folder))

    def fail(self) -> None:
        """Let the kernel see an error of this disk."""
        number = os.stat(self.folder).st_dev
        device = Path(os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")

    def repair(self) -> None:
        """Check the file system and mount it again. No file may be open."""
        _run("umount", str(self.folder))
        subprocess.run(["e2fsck", "-fy", str(self._image)], capture_output=True, check=False)
        self._attach()


@cache
def why_not(kind: type[Disk] = Disk) -> str:
    """Why no such disk can be mounted here; empty if it can."""
    with TemporaryDirectory() as folder:
        try:
            kind(Path(folder) / "disk", 4).close()
        except (OSError, subprocess.CalledProcessError):
            return f"cannot mount a {kind.__name__}: run this as root; a Disk is enough in `unshare -rm`"
    return ""


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
