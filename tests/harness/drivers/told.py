"""What the tests of the fork server have started: does what its arguments say."""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    match sys.argv[1]:
        case "echo":
            sys.stdout.write(f"{sys.argv[2]} {sys.stdin.read()} {os.getsid(0) == os.getpid()}")
            sys.stderr.write(" ".join(map(str, sorted(os.sched_getaffinity(0)))))
        case "exit":
            sys.exit(int(sys.argv[2]))
        case "raise":
            raise ValueError(sys.argv[2])
        case "wait":
            signal.pause()
