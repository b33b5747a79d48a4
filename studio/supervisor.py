"""Runs one generator and ends everything it started: python -m studio.supervisor GRACE FOLDER COMMAND [ARGUMENT ...].

It is a process between the worker and the generator, so that the generator ends even when the worker is killed with
SIGKILL. It ends all processes of the generator in three cases: the generator exits; its own standard input closes,
because the worker has died or stops the generator; or it gets SIGTERM. It sends SIGTERM to the generator's process
group, and SIGKILL to all remaining processes after GRACE seconds. The generator runs in FOLDER. The exit code is the
generator's, or 128 plus the number of the signal that ended it. The worker starts it without site-packages, so that it
starts quickly.
"""

import os
import select
import signal
import subprocess
import sys
import time

from files.child import adopt_orphans, die_with_parent

TICK = 0.05  # seconds


def main() -> int:
    """Run the generator. Returns its exit code."""
    grace, folder, command = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
    adopt_orphans()
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    try:
        os.chdir(folder)
        generator = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent
        )
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
    """Wait up to a tick. Returns True if the worker has closed standard input."""
    readable, _, _ = select.select([0], [], [], TICK)
    return bool(readable) and not os.read(0, 1024)


def end_politely(generator: subprocess.Popen[bytes], grace: float) -> None:
    """Send SIGTERM to the generator's process group, and SIGKILL after the grace period."""
    os.killpg(generator.pid, signal.SIGTERM)
    until = time.monotonic() + grace
    while generator.poll() is None and time.monotonic() < until:
        time.sleep(TICK)
    if generator.poll() is None:
        os.killpg(generator.pid, signal.SIGKILL)
        generator.wait()


def kill_the_rest() -> None:
    """Kill children until there are none. Orphans of a dead child become children of this process."""
    while children := children_of(os.getpid()):
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                continue


def children_of(parent: int) -> list[int]:
    """The ids of the processes with this parent; [] where there is no /proc."""
    children = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        try:
            with open(f"/proc/{int(name)}/stat") as stat:
                if int(stat.read().rpartition(")")[2].split()[1]) == parent:
                    children.append(int(name))
        except (ValueError, OSError):
            continue
    return children


if __name__ == "__main__":
    sys.exit(main())
