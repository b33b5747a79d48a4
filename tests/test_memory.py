"""The memory that clients and threads have used goes back to the system."""

import platform
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

COUNT_ARENAS = """
import ctypes
import threading
from server import web
from settings import Settings

web.prepare(Settings(_env_file=None))
libc, threads = ctypes.CDLL(None), 8
libc.fdopen.restype = ctypes.c_void_p
together = threading.Barrier(threads)

def allocate():
    together.wait()
    libc.malloc(50_000)
    together.wait()

started = [threading.Thread(target=allocate) for _ in range(threads)]
for thread in started:
    thread.start()
for thread in started:
    thread.join()
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
"""
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone")


def run(program: str) -> str:
    """What a program in a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr
    return done.stdout


def test_free_memory_goes_back_to_the_system() -> None:
    assert int(run(MEASURE)) > 50_000_000


def test_the_threads_of_a_web_process_share_two_arenas() -> None:
    assert run(COUNT_ARENAS).count("<heap nr=") == 2
