"""The process that the blockers wait for: it does what it is asked, late.

Its standard input is a socket to the application. It writes there its ports, as a line of JSON, and
takes lines `socket SECONDS` and `fifo SECONDS`: after that time it sends a byte over
the TCP connection, or writes one into the FIFO that its argument names. Over UDP it answers
questions for the address of `MICROSECONDS.late.test` after the time in the name. It ends when the
application does.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time
from pathlib import Path

HOST = "127.0.0.1"
HEADER = struct.Struct("!HHHHHH")
ANSWERED = 0x8180
ADDRESS_OF_THE_NAME = struct.pack("!HHHIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(HOST)


def main() -> None:
    control = socket.socket(fileno=0)
    listener = socket.create_server((HOST, 0))
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind((HOST, 0))
    ports = {"tcp": listener.getsockname()[1], "udp": names.getsockname()[1]}
    control.sendall(f"{json.dumps(ports)}\n".encode())
    connection, _ = listener.accept()
    with Path(sys.argv[1]).open("wb", buffering=0) as fifo:
        while True:
            ready, _, _ = select.select([control, names], [], [])
            if names in ready:
                answer_late(names)
            if control in ready:
                asked = control.recv(64)
                if not asked:
                    return
                what, seconds = asked.decode().split()
                time.sleep(float(seconds))
                if what == "socket":
                    connection.sendall(b"x")
                else:
                    fifo.write(b"x")


def answer_late(names: socket.socket) -> None:
    question, sender = names.recvfrom(512)
    number, _, questions, *_ = HEADER.unpack_from(question)
    length = question[HEADER.size]
    microseconds = question[HEADER.size + 1 : HEADER.size + 1 + length]
    end = question.index(b"\0", HEADER.size) + 1 + 4  # After the name come its type and class.
    time.sleep(int(microseconds) / 1e6)
    answer = HEADER.pack(number, ANSWERED, questions, 1, 0, 0)
    names.sendto(answer + question[HEADER.size : end] + ADDRESS_OF_THE_NAME, sender)


if __name__ == "__main__":
    main()
