"""The memory that clients have used goes back to the system."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

MEASURE = """
import os
from server.memory import give_back_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")

blocks = [bytes(range(256)) * 80 for _ in range(5000)]  # 100 MB
del blocks[:-1]  # the last block is at the end of the heap, so the allocator keeps what is before it
before = resident()
give_back_memory()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone")
def test_free_memory_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert int(done.stdout) > 50_000_000, done.stderr
