"""Processes that are forked instead of started are like those that are started."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.forked import Python, first_process
from tests.service import clean_environment

KINDS = pytest.mark.parametrize("kind", [Python, subprocess.Popen])
SAYS = "import os, sys; print(sys.argv, os.getcwd(), os.environ['X'], sys.stdin.read(), os.getsid(0) == os.getpid())"


def start(kind: type[subprocess.Popen[str]], code: str, **how: Any) -> subprocess.Popen[str]:
    """A process of this kind that runs the code, with pipes."""
    pipes: dict[str, Any] = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    return kind([sys.executable, "-c", code, "a", "ü"], env=clean_environment(X="1"), text=True, **pipes, **how)


@KINDS
def test_a_process_has_its_words_folder_environment_input_and_session(
    kind: type[subprocess.Popen[str]], tmp_path: Path
) -> None:
    with start(kind, SAYS, cwd=tmp_path, start_new_session=True) as process:
        out, err = process.communicate("typed", 30)
    assert (out, err) == (f"['-c', 'a', 'ü'] {tmp_path} 1 typed True\n", "") and process.returncode == 0


@KINDS
@pytest.mark.parametrize(("code", "last"), [("raise SystemExit(3)", ""), ("1 / 0", "ZeroDivisionError"), ("", "")])
def test_a_process_ends_with_its_code_and_its_last_words(
    kind: type[subprocess.Popen[str]], code: str, last: str
) -> None:
    with start(kind, code) as process:
        assert last in process.communicate(timeout=30)[1]
    assert process.returncode == {"": 0, "1 / 0": 1}.get(code, 3)


@KINDS
def test_a_process_has_the_limits_and_cores_of_its_caller(kind: type[subprocess.Popen[str]]) -> None:
    before, cores = resource.getrlimit(resource.RLIMIT_CORE), os.sched_getaffinity(0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
    os.sched_setaffinity(0, {max(cores)})
    code = "import os, resource; print(resource.getrlimit(resource.RLIMIT_CORE)[0], os.sched_getaffinity(0))"
    try:
        with start(kind, code) as process:
            assert process.communicate(timeout=30)[0] == f"0 {{{max(cores)}}}\n"
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
        os.sched_setaffinity(0, cores)


@KINDS
def test_a_process_is_waited_for_and_killed(kind: type[subprocess.Popen[str]]) -> None:
    with start(kind, "print('up', flush=True); import time; time.sleep(60)") as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n" and process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.kill()
        assert process.wait(30) == -signal.SIGKILL


def test_a_fork_has_no_file_of_another_process_and_the_service_is_imported() -> None:
    with start(Python, "import os, sys; print(len(os.listdir('/proc/self/fd')), 'app' in sys.modules)") as process:
        assert process.communicate(timeout=30)[0] == "4 True\n"  # with the folder that is listed


@pytest.mark.parametrize("own", [{"PYTHONUTF8": "1"}, {"COVERAGE_PROCESS_CONFIG": ""}])
def test_a_process_with_an_interpreter_of_its_own_is_no_fork(own: dict[str, str]) -> None:
    first_process()
    command = [sys.executable, "-c", "import sys; print('app' in sys.modules)"]
    with Python(command, env={**os.environ, **own}, stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate(timeout=30)[0] == "False\n"
