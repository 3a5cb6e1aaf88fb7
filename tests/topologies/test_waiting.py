"""A wait has a deadline, says what it waited for, and takes OSError for "not yet"."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from topologies.waiting import CannotEmulate, CommandFailed, DaemonDied, NotReady, TestbedError, wait_until


def after(refusals: int, error: Exception | None = None) -> Callable[[], bool]:
    """A condition that holds from the call after so many refusals."""
    left = iter([False] * refusals)

    def condition() -> bool:
        if next(left, None) is None:
            return True
        if error is not None:
            raise error
        return False

    return condition


def test_a_condition_that_holds_is_not_waited_for() -> None:
    assert wait_until(after(0), timeout_s=0, what="nothing") < 0.1


def test_it_is_asked_again_until_it_holds() -> None:
    begin = time.monotonic()
    waited_s = wait_until(after(3), timeout_s=5, what="the fourth answer", interval_s=0.005)
    assert 0.015 <= waited_s <= time.monotonic() - begin < 1


def test_an_error_of_the_operating_system_means_not_yet() -> None:
    wait_until(after(2, ConnectionRefusedError("no")), timeout_s=5, what="the third answer", interval_s=0.001)


def test_after_the_deadline_it_says_what_it_waited_for_and_the_last_reason() -> None:
    begin = time.monotonic()
    with pytest.raises(NotReady, match=r"waited 0\.05 s for db1 to answer \(last answer: no route\)"):
        wait_until(after(9999, OSError("no route")), timeout_s=0.05, what="db1 to answer", interval_s=0.01)
    assert 0.05 <= time.monotonic() - begin < 1


def test_any_other_error_is_a_defect_and_passes_through() -> None:
    with pytest.raises(ValueError, match="a defect"):
        wait_until(after(1, ValueError("a defect")), timeout_s=5, what="nothing")


@pytest.mark.parametrize("error", [NotReady, DaemonDied, CommandFailed, CannotEmulate])
def test_whatever_the_testbed_raises_on_purpose_has_one_base_that_lists_it(error: type[Exception]) -> None:
    assert issubclass(error, TestbedError)
    assert error.__name__ in (TestbedError.__doc__ or "")
