import os
import signal

import pytest
from gaitway_runtime.process.lifecycle import StopRequest, handle_signals
from gaitway_runtime.spec.errors import Interrupted

pytestmark = pytest.mark.usefixtures("signals_as_before")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_becomes_a_request(number: signal.Signals) -> None:
    signal.signal(number, signal.default_int_handler)  # the tests may have been started with nohup
    stop = handle_signals()
    stop.check()
    os.kill(os.getpid(), number)
    assert (stop.requested, stop.reason) == (True, number.name)
    with pytest.raises(Interrupted, match=number.name):
        stop.check()


def test_a_hangup_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = handle_signals()
    os.kill(os.getpid(), signal.SIGHUP)
    assert not stop.requested


def test_a_second_interrupt_is_immediate_but_a_second_sigterm_is_not() -> None:
    stop = handle_signals()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.reason == "SIGTERM"


def test_handlers_can_be_installed_again_for_the_same_request() -> None:
    stop = handle_signals()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert handle_signals(stop) is stop
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.requested


def test_waiting_returns_at_once_when_a_stop_was_asked_for() -> None:
    stop = StopRequest()
    assert not stop.wait(0.0)
    stop.request("test")
    assert stop.wait(3600.0)
