"""Runs one generator and leaves nothing of it behind: python supervisor.py GRACE COMMAND [ARGUMENT ...].

A process of its own between worker and generator, so that the generator ends even when the worker is killed with
SIGKILL. It ends everything the generator started when the generator exits, when its standard input closes (the
worker is gone, or wants it to stop) or on SIGTERM: first SIGTERM to the generator's process group, after GRACE
seconds SIGKILL to all that is left. Its exit code is the generator's, or 128 plus the number of the signal that
ended it. Standard library alone: it starts in a few milliseconds.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
TICK = 0.05


def main() -> int:
    """The exit code of the generator."""
    grace, command = float(sys.argv[1]), sys.argv[2:]
    become_subreaper()
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    try:
        generator = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_us)
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", flush=True)
        return 127
    while generator.poll() is None and not stopping and not stdin_closed():
        pass
    if generator.poll() is None:
        end_politely(generator, grace)
    kill_the_rest()
    code = generator.wait()
    return code if code >= 0 else 128 - code


def stdin_closed() -> bool:
    """True when the other end of standard input is gone; waits up to a tick for it."""
    readable, _, _ = select.select([0], [], [], TICK)
    return bool(readable) and not os.read(0, 1024)


def end_politely(generator: subprocess.Popen[bytes], grace: float) -> None:
    """SIGTERM to the generator's group, and time to obey."""
    os.killpg(generator.pid, signal.SIGTERM)
    until = time.monotonic() + grace
    while generator.poll() is None and time.monotonic() < until:
        time.sleep(TICK)
    if generator.poll() is None:
        os.killpg(generator.pid, signal.SIGKILL)
        generator.wait()


def kill_the_rest() -> None:
    """Kill children until there are none: what a dead child leaves behind becomes ours, as we are a subreaper."""
    while children := children_of(os.getpid()):
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                continue


def children_of(parent: int) -> list[int]:
    """The processes whose parent this is; [] where there is no /proc."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        try:
            with open(f"/proc/{int(name)}/stat") as stat:
                if int(stat.read().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(name))
        except (ValueError, OSError):
            continue
    return found


def become_subreaper() -> None:
    """Have orphans below us become our children (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_us() -> None:
    """In the generator, before it is one: die when the supervisor is killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
