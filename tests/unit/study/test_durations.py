"""Durations are written as in Go."""

from datetime import timedelta

import pytest

from tuning_operator.study.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("1h30m", 5400), ("2h", 7200), ("1.5h", 5400), ("250ms", 0.25), ("1m30s", 90), ("0s", 0)],
)
def test_a_go_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "90", "1d", "-1h", "1h 30m", "h", "1hour", "1.h"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 90m"):
        parse_duration(text)


def test_a_duration_longer_than_time_is_long() -> None:
    assert parse_duration("99999999999999999999h") > timedelta(days=36_500)
