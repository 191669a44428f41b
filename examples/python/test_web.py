"""The stack under test, by pystack's pytest plugin: `pytest` here, as root, runs it."""

import socket

from orchestrator.interface.blocking import Stack


def test_the_port_answers(pystack_stack: Stack) -> None:
    address = pystack_stack.address("web", 80)
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        assert connection.recv(100) == b"hello\n"


def test_a_command_in_the_container(pystack_stack: Stack) -> None:
    done = pystack_stack.execute("web", ["cat"], stdin=b"through the container\n")
    assert (done.exit_code, done.stdout) == (0, b"through the container\n")
