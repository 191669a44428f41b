"""What asks a command to end waits while the command must not be cut short."""

from __future__ import annotations

import os
import signal

import pytest

from orchestrator.cli.container.signals import Ending


def test_a_signal_ends_the_block_with_the_shells_exit_code() -> None:
    with pytest.raises(SystemExit) as ended, Ending():
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM


def test_the_first_one_waits_while_it_is_held_and_the_second_does_not() -> None:
    with Ending() as ending:
        with ending.held():
            os.kill(os.getpid(), signal.SIGINT)
        assert ending.number == signal.SIGINT
        with pytest.raises(SystemExit) as ended, ending.held():
            os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Ending() as ending:
            os.kill(os.getpid(), signal.SIGHUP)
        assert ending.number == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
