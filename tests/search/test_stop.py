"""The stop switch: by time, by signal, and what it does to workers."""

import os
import signal
import subprocess
import sys
import time

import pytest

from search.stop import EXIT_INTERRUPTED, StopSwitch


def test_a_search_without_a_time_limit_is_not_stopped() -> None:
    assert not StopSwitch().stop_all()


def test_a_search_is_stopped_when_its_seconds_are_used_up() -> None:
    now = [100.0]
    stop = StopSwitch(5.0, clock=lambda: now[0])

    assert not stop.stop_all()
    now[0] = 105.0
    assert stop.stop_all()
    assert stop.reason == "minutes"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_and_the_former_handler_comes_back(number: int) -> None:
    stop, former, told = StopSwitch(), signal.getsignal(number), []

    with stop.on_signals(first=lambda: told.append("first"), second=lambda: told.append("second")):
        os.kill(os.getpid(), number)
        time.sleep(0.01)

    assert stop.reason == "interrupted"
    assert told == ["first"]
    assert signal.getsignal(number) is former


def test_the_second_signal_exits_at_once() -> None:
    program = (
        "import os, signal\n"
        "from search.stop import StopSwitch\n"
        "say = lambda: print('bye', flush=True)\n"
        "with StopSwitch().on_signals(first=lambda: None, second=say):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('still here', flush=True)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.returncode == EXIT_INTERRUPTED
    assert done.stdout == "bye\n"
