"""One end of a network measurement, run as a program of its own in a network namespace.

    netpeer.py sink PORT                    takes in all that is sent, until it is killed
    netpeer.py door PORT                    accepts connections and ends them
    netpeer.py send ADDRESS PORT BYTES      prints the seconds that sending took
    netpeer.py knock ADDRESS PORT COUNT     prints the seconds that so many connections took
    netpeer.py ask SERVER NAME COUNT        prints the seconds that so many DNS answers took

Sockets and the standard library only: what is measured is the way between the ends.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time

CHUNK = 1 << 20
WINDOW = 32
LIMIT_S = 60.0


def sink(port: int) -> None:
    with listening(port) as server:
        while True:
            client, _ = server.accept()
            threading.Thread(target=swallow, args=(client,), daemon=True).start()


def swallow(client: socket.socket) -> None:
    room = bytearray(CHUNK)
    with client:
        while client.recv_into(room):
            pass
        client.sendall(b".")


def door(port: int) -> None:
    with listening(port) as server:
        while True:
            client, _ = server.accept()
            client.sendall(b".")
            client.close()


def listening(port: int) -> socket.socket:
    server = socket.create_server(("0.0.0.0", port), backlog=512)
    print("ready", flush=True)
    return server


def send(address: str, port: int, size: int) -> float:
    data = memoryview(bytes(CHUNK))
    with socket.create_connection((address, port), LIMIT_S) as client:
        begun = time.perf_counter()
        for _ in range(size // CHUNK):
            client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b"."
        return time.perf_counter() - begun


def knock(address: str, port: int, count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count):
        with socket.create_connection((address, port), LIMIT_S) as client:
            assert client.recv(1) == b"."
    return time.perf_counter() - begun


def ask(server: str, name: str, count: int) -> float:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((server, 53))
        asking.settimeout(LIMIT_S)
        begun = time.perf_counter()
        sent = answered = 0
        while answered < count:
            while sent < count and sent - answered < WINDOW:
                asking.send(struct.pack("!H", sent & 0xFFFF) + question)
                sent += 1
            answer = asking.recv(4096)
            assert answer[6:8] != b"\0\0", "the name is not known"
            answered += 1
        return time.perf_counter() - begun


def main() -> int:
    role, *rest = sys.argv[1:]
    match role:
        case "sink":
            sink(int(rest[0]))
        case "door":
            door(int(rest[0]))
        case "send":
            print(send(rest[0], int(rest[1]), int(rest[2])))
        case "knock":
            print(knock(rest[0], int(rest[1]), int(rest[2])))
        case "ask":
            print(ask(rest[0], rest[1], int(rest[2])))
        case _:
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
