"""Subprocesses of the web process: the cores they run on, and how they end."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has core affinity and prctl")
PARENT = """
import os, subprocess, sys
from files.child import remember_cores
os.sched_setaffinity(0, {allowed})
remember_cores()
os.sched_setaffinity(0, {{{core}}})
subprocess.run([sys.executable, "-c", {child!r}], check=True)
"""
CHILD = """
import json, os
from files import sound
sound.become_subprocess()
print(json.dumps(sorted(os.sched_getaffinity(0))))
"""


@pytest.mark.parametrize("count", [1, 2])
def test_a_subprocess_uses_the_cores_that_the_service_was_started_with(count: int) -> None:
    allowed = sorted(os.sched_getaffinity(0))[-count:]
    code = PARENT.format(allowed=set(allowed), core=allowed[0], child=CHILD)
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert json.loads(ended.stdout or "[]") == allowed, ended.stderr


def test_a_subprocess_of_a_service_that_is_not_pinned_keeps_its_cores() -> None:
    allowed = {min(os.sched_getaffinity(0))}
    code = f"import os\nos.sched_setaffinity(0, {allowed})\n{CHILD}"
    environment = {name: value for name, value in os.environ.items() if name != "LEDGER_CORES"}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert json.loads(ended.stdout or "[]") == sorted(allowed), ended.stderr
