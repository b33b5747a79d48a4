"""Runs one generator and ends all it started: python -m studio.supervisor GRACE LIFE FOLDER COMMAND [ARGUMENT ...].

It is a process between the worker and the generator, so that the generator ends even when the worker is killed with
SIGKILL. It ends all processes of the generator in three cases: the generator exits; the pipe LIFE (the number of a file
descriptor) closes, because the worker has died or stops the generator; or it gets SIGTERM. It sends SIGTERM to the
generator's process group, and SIGKILL to all remaining processes after GRACE seconds. The generator runs in FOLDER, and
its standard input, output and errors are those of the supervisor. The exit code is the generator's, or 128 plus the
number of the signal that ended it. The worker starts it without site-packages, so that it starts quickly.

It is two processes: its parent, the guard, does nothing unless the supervisor is killed. Then the guard ends the
processes of the generator. If the guard is killed, the supervisor does it.

Other file descriptors that the worker passes (the lock of a GPU) stay open until both have ended. The generator does
not get them.
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
    """Begin the guard and the supervisor. Returns the exit code in each of them."""
    guard = os.getpid()
    supervisor = os.fork()
    adopt_orphans()
    return watch(supervisor) if supervisor else supervise(guard)


def watch(supervisor: int) -> int:
    """Wait for the end of the supervisor, and end what it has left. Returns its exit code."""
    signal.signal(signal.SIGTERM, lambda number, frame: os.kill(supervisor, number))
    let_go_of_stdin()
    _, status = os.waitpid(supervisor, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # there is nobody left to pass it on to
    kill_the_rest()
    return shell_code(os.waitstatus_to_exitcode(status))


def supervise(guard: int) -> int:
    """Run the generator until it ends or must end. Returns its exit code."""
    grace, life, folder, command = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    try:
        os.chdir(folder)
    except OSError as error:
        print(f"cannot enter the folder {folder}: {error.strerror}", flush=True)
        return 127
    try:
        generator = subprocess.Popen(command, start_new_session=True, preexec_fn=die_with_parent)
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", flush=True)
        return 127
    let_go_of_stdin()
    while generator.poll() is None and not stopping and os.getppid() == guard and not has_ended(life):
        pass
    if generator.poll() is None:
        end_politely(generator, grace)
    kill_the_rest()
    return shell_code(generator.wait())


def let_go_of_stdin() -> None:
    """Leave standard input to the generator alone, so that the worker notices when nobody reads it any more."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def has_ended(pipe: int) -> bool:
    """Wait up to a tick. Returns True if the worker has closed the pipe."""
    readable, _, _ = select.select([pipe], [], [], TICK)
    return bool(readable) and not os.read(pipe, 1024)


def shell_code(code: int) -> int:
    """The exit code as a shell gives it: 128 plus the number of the signal that ended the process."""
    return code if code >= 0 else 128 - code


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
