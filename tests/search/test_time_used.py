"""Seconds of a study are those of its runs."""

from search.time_used import TimeUsed


def time_of(*events: tuple[str, float]) -> TimeUsed:
    used = TimeUsed()
    for event, now in events:
        used.apply({"event": event, "time": now})
    return used


def test_seconds_are_counted_over_runs_and_not_between_them() -> None:
    used = time_of(
        ("study", 10.0),
        ("proposed", 15.0),  # killed here, 5 s after the start
        ("continued", 100.0),
        ("ended", 103.0),
        ("continued", 200.0),
        ("ended", 204.0),
        ("baseline", 900.0),  # after the search: not counted
    )

    assert used.seconds == 12.0
    assert used.seconds_confirming == 0.0


def test_seconds_of_the_confirmation_are_those_since_the_trials_were_over() -> None:
    first = (("study", 0.0), ("searched", 60.0), ("confirmed", 70.0))
    more = (("continued", 100.0), ("searched", 130.0), ("ended", 150.0))

    assert time_of(*first).seconds_confirming == 10.0
    assert time_of(*first, *more).seconds_confirming == 30.0
    assert time_of(*first, *more).seconds == 120.0


def test_a_clock_that_is_set_back_takes_nothing_away() -> None:
    assert time_of(("study", 100.0), ("continued", 50.0), ("proposed", 40.0)).seconds == 0.0
