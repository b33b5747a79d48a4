"""The GPU memory of a generator, with a stand-in for nvidia-smi."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from studio import gpu_memory
from studio.gpu_memory import GpuMemory
from tests.conftest import wait_for

# Says that the processes named in the file `used` use memory: each line is "pid, MiB".
NVIDIA_SMI = """#!/bin/sh
cat {used}
"""


@pytest.fixture
def used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with what nvidia-smi prints. It is read every 10 ms."""
    monkeypatch.setattr(gpu_memory, "EVERY_SECONDS", 0.01)
    program, used = tmp_path / "nvidia-smi", tmp_path / "used"
    program.write_text(NVIDIA_SMI.format(used=used))
    program.chmod(0o755)
    used.write_text("")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return used


def test_the_peak_is_that_of_the_processes_below(used: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        with GpuMemory() as memory:
            for number in (500, 900, 700):
                used.write_text(f"1, 9000\n{child.pid}, {number}\n")
                wait_for(lambda: (memory.peak or 0) >= min(number, 900), 30)  # noqa: B023
        child.kill()
    assert memory.peak == 900


def test_a_process_below_a_process_below_counts(used: Path) -> None:
    code = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        used.write_text(f"{grandchild}, 70\n{child.pid}, 7\n")
        with GpuMemory() as memory:
            wait_for(lambda: memory.peak == 77, 30)
        subprocess.run(["kill", str(grandchild)], check=True)


def test_a_query_that_hangs_is_killed_at_the_end(used: Path, tmp_path: Path) -> None:
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\nsleep 611 &\necho $! > {tmp_path}/pid\nwait\n")
    with GpuMemory() as memory:
        wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"), 30)
        began = time.monotonic()
    assert time.monotonic() - began < 5 and memory.peak is None
    wait_for(lambda: has_ended(int((tmp_path / "pid").read_text())), 5)


def has_ended(pid: int) -> bool:
    """True if this process does not run any more."""
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return True


@pytest.mark.parametrize("text", ["", "No devices were found\n", "1, 9000\n"])
def test_without_a_figure_there_is_no_peak(used: Path, text: str) -> None:
    used.write_text(text)
    with GpuMemory() as memory:
        pass
    assert memory.peak is None


def test_without_nvidia_smi_nothing_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with GpuMemory() as memory:
        assert not memory._thread.is_alive()
    assert memory.peak is None
