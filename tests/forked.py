"""Starts Python processes as forks of one that has imported the service: this takes a tenth of the CPU time of a start.

Apart from that, they are like others: arguments, environment, working directory, pipes, signals and exit codes are
their own, and cores and limits are those of the caller. That first process, started on demand, runs this module. It
gets an order for each process over a socket.
"""

import atexit
import gc
import importlib
import json
import os
import resource
import runpy
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable  # tests may replace it
MEASURED = "COVERAGE_PROCESS_CONFIG"
IMITATED = {("PYTHONUNBUFFERED", "1"), ("PYTHONPATH", str(ROOT))}  # variables of Python that a fork imitates
LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
IS_LINUX = hasattr(os, "pidfd_open")  # elsewhere, nothing is forked
MOST_BYTES = 100_000  # of an order; the socket sends it whole
_lock = threading.Lock()


@dataclass
class Order:
    """A process to start: what follows `python`, and its surroundings."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    begins_session: bool
    cores: list[int]
    limits: list[tuple[int, tuple[int, int]]]


class Python(subprocess.Popen[Any]):
    """A process of python; like Popen, with a command that starts with sys.executable.

    It is a fork unless it needs an interpreter of its own: to measure coverage or memory, or because of its options.
    """

    _status = -1  # the end of a pipe that gets the exit status

    def _execute_child(  # of Popen: the part that starts the process when all pipes are there
        self, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, pass_fds: Any, cwd: Any, env: Any, *rest: Any
    ) -> None:
        words = [os.fsdecode(word) for word in args]
        environment, folder = dict(os.environ if env is None else env), os.fsdecode(cwd or os.getcwd())
        limits = [(number, resource.getrlimit(number)) for number in LIMITS]
        cores = [*os.sched_getaffinity(0)] if IS_LINUX else []
        order = Order(words[1:], environment, folder, rest[14], cores, limits)
        message = json.dumps(asdict(order)).encode()
        if preexec_fn or pass_fds or len(message) > MOST_BYTES or not can_fork(words, order):
            super()._execute_child(args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *rest)  # type: ignore[misc]
            return
        pipes = rest[3:9]
        self._status, other = os.pipe()
        handles = [end if end != -1 else number for number, end in enumerate((pipes[0], pipes[3], pipes[5]))]
        with _lock:
            socket.send_fds(first_process(), [message], [*handles, other])
            self.pid = int(first_process().recv(100))
        os.close(other)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._status == -1:
            return super()._try_wait(wait_flags)  # type: ignore[misc,no-any-return]
        if not select.select([self._status], [], [], 0 if wait_flags else None)[0]:
            return 0, 0
        status = int(os.read(self._status, 100) or b"9")
        os.close(self._status)
        return self.pid, status

    def _internal_poll(self, *arguments: Any, **more: Any) -> int | None:
        if self._status == -1:
            return super()._internal_poll(*arguments, **more)  # type: ignore[misc,no-any-return]
        if self.returncode is None and self._waitpid_lock.acquire(False):  # type: ignore[attr-defined]
            try:
                pid, status = self._try_wait(os.WNOHANG) if self.returncode is None else (0, 0)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


def run(command: list[str], timeout: float, typed: str = "", **how: Any) -> subprocess.CompletedProcess[str]:
    """What a process of python printed, and its exit code. Raises TimeoutExpired."""
    pipe = subprocess.PIPE
    with Python(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, **how) as process:
        try:
            out, err = process.communicate(typed, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def can_fork(words: list[str], order: Order) -> bool:
    """True unless a command needs an interpreter of its own, or is none of python."""
    is_plain = words[0] == PYTHON and words[1:] and (words[1] in ("-c", "-m") or words[1].endswith(".py"))
    is_same = of_interpreter(order.environment) == of_interpreter(dict(os.environ))
    return bool(is_plain) and is_same and MEASURED not in order.environment and IS_LINUX


def of_interpreter(environment: dict[str, str]) -> dict[str, str]:
    """The variables that Python itself reads when it starts."""
    own = {name: text for name, text in environment.items() if name.startswith(("PYTHON", "LC_", "LANG"))}
    return {name: text for name, text in own.items() if (name, text) not in IMITATED}


@cache
def first_process() -> socket.socket:
    """The socket of the process that forks."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"}  # threads do not survive a fork
    environment.pop(MEASURED, None)
    with its:
        command = [sys.executable, "-m", "tests.forked", str(its.fileno())]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
            start_new_session=True,
        )
    atexit.register(lambda: (ours.close(), process.wait()))
    return ours


class Child(NamedTuple):
    """A fork that runs, and the pipe for its exit status."""

    pid: int
    status: int


def fork_for(orders: socket.socket) -> Order | None:
    """Fork for each order. Returns the order in a fork, and None in the first process after the last one."""
    children: dict[int, Child] = {}
    while True:
        for ready in select.select([orders.fileno(), *children], [], [])[0]:
            if ready in children:
                report(children.pop(ready))
                os.close(ready)
                continue
            message, handles, _, _ = socket.recv_fds(orders, 2 * MOST_BYTES, 4)
            if not message:
                return None
            pid = os.fork()
            if pid == 0:
                orders.detach()
                for number, handle in enumerate(handles[:3]):
                    os.dup2(handle, number)
                os.closerange(3, max([*children, *handles, 64]) + 1)
                return Order(**json.loads(message))
            orders.send(b"%d" % pid)
            children[os.pidfd_open(pid)] = Child(pid, handles[3])
            for handle in handles[:3]:
                os.close(handle)


def report(child: Child) -> None:
    """Pass the exit status of a fork on."""
    _, status = os.waitpid(child.pid, 0)
    with suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(child.status, b"%d" % status)
    os.close(child.status)


def become(order: Order) -> None:
    """Be the process that was ordered."""
    if order.begins_session:
        os.setsid()
    os.sched_setaffinity(0, order.cores)
    for number, limit in order.limits:
        resource.setrlimit(number, limit)
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environment)
    time.tzset()
    tempfile.tempdir = None
    sys.argv = order.arguments
    kind, *words = order.arguments
    if order.environment.get("PYTHONPATH") == str(ROOT):
        sys.path.insert(1, str(ROOT))
    if kind == "-c":
        sys.path[0], sys.argv = "", ["-c", *words[1:]]
        exec(compile(words[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    elif kind == "-m":
        sys.path[0], sys.argv = order.folder, words
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(kind).parent.absolute())
        runpy.run_path(kind, run_name="__main__")


def main() -> None:
    """Import the service, then fork for each order."""
    for name in ("app", "studio.worker", "files.drawing", "files.tagged"):
        importlib.import_module(name)

    gc.freeze()
    if order := fork_for(socket.socket(fileno=int(sys.argv[1]))):
        become(order)


if __name__ == "__main__":
    main()
