"""What Linux tells of one thread of another process: what it does, and its time on processors."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from loopmark.harness.vocabulary.blocking import Call

FUTEX = "futex"
"""A thread that waits for a lock, that of the interpreter among them."""

_CALLS = """
read               0   63
write              1   64
open               2    -
poll               7    -
pread64           17   67
pwrite64          18   68
readv             19   65
writev            20   66
select            23    -
nanosleep         35  101
connect           42  203
accept            43  202
sendto            44  206
recvfrom          45  207
sendmsg           46  211
recvmsg           47  212
execve            59  221
wait4             61  260
fcntl             72   25
flock             73   32
fsync             74   82
fdatasync         75   83
futex            202   98
restart_syscall  219  128
clock_nanosleep  230  115
epoll_wait       232    -
waitid           247   95
openat           257   56
pselect6         270   72
ppoll            271   73
epoll_pwait      281   22
accept4          288  242
io_uring_enter   426  426
epoll_pwait2     441  441
"""
"""Calls in which a thread may sleep, with their numbers on x86_64 and aarch64 (asm/unistd.h)."""

_COLUMN = {"x86_64": 1, "aarch64": 2}.get(platform.machine())
_ROWS = [row.split() for row in _CALLS.strip().splitlines()]
_NAMES = (
    {} if _COLUMN is None else {int(row[_COLUMN]): row[0] for row in _ROWS if row[_COLUMN] != "-"}
)

OF_THE_LOOP = frozenset(
    {"epoll_wait", "epoll_pwait", "epoll_pwait2", "io_uring_enter", "restart_syscall"}
)
"""Calls in which a loop waits for its next event."""

_WITH_DESCRIPTOR = frozenset(
    {"read", "write", "readv", "writev", "pread64", "pwrite64", "connect", "accept", "accept4"}
    | {"sendto", "recvfrom", "sendmsg", "recvmsg", "fsync", "fdatasync", "flock", "fcntl"}
)
_POLLING = frozenset({"poll", "ppoll"})
_DESCRIPTOR_BYTES = 4
_UNTIL_A_TIME = 1
"""TIMER_ABSTIME."""


class Scheduled(NamedTuple):
    """Time of a thread since its start, in nanoseconds: on a processor, and waiting for one."""

    run_ns: int
    queued_ns: int


class Doing(NamedTuple):
    """What a thread does.

    Attributes:
        state: Letter of the system, `R` for running or runnable; empty where it is not told.
        call: In which it sleeps: name and first argument; None while it runs.
        restarts: Whether a signal does that call no harm. It would end a relative sleep, as of
            usleep, which C code does not take up again: SQLite would wait less for a lock than
            it was told. Python sleeps until a time, and looks again.
    """

    state: str
    call: tuple[str, int] | None
    restarts: bool = True


def scheduled(pid: int, thread: int) -> Scheduled | None:
    """The times of a thread; None where the system does not tell, or the thread has ended."""
    try:
        run, queued, _ = Path(f"/proc/{pid}/task/{thread}/schedstat").read_bytes().split()
    except (OSError, ValueError):
        return None
    return Scheduled(int(run), int(queued))


def doing(pid: int, thread: int) -> Doing | None:
    """What a thread does now; None where the system does not tell, or the thread has ended."""
    folder = f"/proc/{pid}/task/{thread}"
    try:
        words = Path(f"{folder}/syscall").read_text().split()
    except OSError:
        return None
    if not words or words[0] == "running" or words[0] == "-1":
        return Doing("R", None)
    number = int(words[0])
    name = _NAMES.get(number, f"system call {number}")
    is_relative = name == "nanosleep" or (
        name == "clock_nanosleep" and not int(words[2], 16) & _UNTIL_A_TIME
    )
    # What is sent to a thread that becomes another program would reach that, and end it.
    takes_signals = not is_relative and name != "execve"
    return Doing("S", (name, int(words[1], 16)), restarts=takes_signals)


def is_stopped(pid: int, thread: int) -> bool:
    """Whether a thread was stopped by a signal or a debugger."""
    try:
        text = Path(f"/proc/{pid}/task/{thread}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] in {"T", "t"}


def handles_signal(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal; True where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return not Path("/proc/self/status").exists()
    return is_handled(text, number)


def is_handled(status: str, number: int) -> bool:
    """Whether the status of a process names a handler for a signal; True where it does not tell."""
    told = status.partition("\nSigCgt:")[2].split(maxsplit=1)
    return not told or bool(int(told[0], 16) >> (number - 1) & 1)


def threads(pid: int) -> list[int]:
    """The threads of a process; none where the system does not tell."""
    try:
        return [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []


def steal_ns() -> int:
    """What the hypervisor has taken of the processors since the system started; 0 if not told."""
    with suppress(OSError, IndexError, ValueError):
        first = Path("/proc/stat").read_text().partition("\n")[0].split()
        return int(first[8]) * (1_000_000_000 // os.sysconf("SC_CLK_TCK"))
    return 0


def call_of(pid: int, call: tuple[str, int]) -> Call:
    """A call with what it waits for, as far as the system tells."""
    name, argument = call
    descriptor = None
    if name in _WITH_DESCRIPTOR:
        descriptor = argument
    elif name in _POLLING:
        with suppress(OSError, ValueError, OverflowError):
            descriptor = _first_polled(pid, argument)
    if descriptor is None or descriptor < 0:
        return Call(name)
    try:
        target = str(Path(f"/proc/{pid}/fd/{descriptor}").readlink())
    except OSError:
        return Call(name)
    return Call(name, _peer(pid, target) if target.startswith("socket:") else target)


def _first_polled(pid: int, address: int) -> int:
    """The first descriptor of the list at an address in a process's memory."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return int.from_bytes(memory.read(_DESCRIPTOR_BYTES), "little", signed=True)


@cache
def _peer(pid: int, socket: str) -> str:
    """The address at the other end of a socket; empty where it is not told."""
    inode = socket.removeprefix("socket:[").removesuffix("]")
    for table, size in (("tcp", 8), ("tcp6", 32)):
        with suppress(OSError):
            for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                columns = row.split()
                if columns[9] == inode:
                    return _address(columns[2], size)
    with suppress(OSError):
        for row in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
            columns = row.split()
            if columns[6] == inode:
                return columns[7] if len(columns) > 7 else "a Unix socket"  # noqa: PLR2004 - the path is the eighth
    return ""


def _address(text: str, size: int) -> str:
    """An address of /proc/net/tcp: words of four bytes in the machine's order, and the port."""
    host, _, port = text.partition(":")
    raw = b"".join(bytes.fromhex(host[i : i + 8])[::-1] for i in range(0, size, 8))
    if size == 8:  # noqa: PLR2004 - IPv4
        return f"{'.'.join(map(str, raw))}:{int(port, 16)}"
    groups = [raw[i : i + 2].hex() for i in range(0, 16, 2)]
    return f"[{':'.join(groups)}]:{int(port, 16)}"
