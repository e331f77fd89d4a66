"""Whatever stands in a file, the user reads what is wrong with it, and never a traceback."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.cli import a_line, two_optimizers
from tuning_cli.problems import InputError, Warnings
from tuning_cli.reading.csv_rows import objects_of_table, table_of
from tuning_cli.reading.places import Document, parse_yaml, to_yaml
from tuning_cli.reading.study_file import study_of
from tuning_cli.reading.trial_files import record_of
from tuning_cli.reading.trial_object import DIAGNOSTICS, FIELDS

SOME = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["NaN", "step", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
STUDY = study_of(Document("study.yaml", two_optimizers()), Warnings())


def readable(act: Any) -> None:
    """Run something that may refuse its input in a line for people, and in no other way."""
    with suppress(InputError):
        act()


@SOME
@given(st.dictionaries(st.sampled_from(FIELDS), JSON), st.dictionaries(st.sampled_from(DIAGNOSTICS), JSON))
def test_any_trial_is_read_or_refused(fields: dict[str, Any], diagnostics: dict[str, Any]) -> None:
    data = a_line() | {"diagnostics": diagnostics} | fields
    readable(lambda: record_of(STUDY, [(1, data)], "trials.jsonl", Warnings()))


@SOME
@given(st.lists(st.dictionaries(st.sampled_from(["step", "train_loss", "validation_loss"]), JSON), max_size=4))
def test_any_curve_is_read_or_refused(curve: list[Any]) -> None:
    readable(lambda: record_of(STUDY, [(1, a_line(curve=curve))], "trials.jsonl", Warnings()))


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every field."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(p for key, value in inside for p in places(value, (*path, key)))]


def replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return the data with another value in one place."""
    if not path:
        return value
    copied = dict(data) if isinstance(data, dict) else list(data)
    copied[path[0]] = replaced(data[path[0]], path[1:], value)
    return copied


@SOME
@given(st.sampled_from(places(two_optimizers())), JSON)
def test_any_study_is_read_or_refused(path: tuple[Any, ...], value: Any) -> None:
    study = replaced(two_optimizers(), path, value)
    readable(lambda: study_of(parse_yaml(json.dumps(study), "study.yaml"), Warnings()))


@SOME
@given(st.text(max_size=60))
def test_any_text_is_a_table_or_refused(text: str) -> None:
    readable(lambda: list(objects_of_table(STUDY.spec, table_of(text, "trials.csv"), Warnings())))


@SOME
@given(st.text(max_size=60))
def test_any_text_is_yaml_or_refused(text: str) -> None:
    readable(lambda: study_of(parse_yaml(text, "study.yaml"), Warnings()))


@SOME
@given(
    st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=12) | st.booleans() | st.floats(allow_nan=False))
)
def test_what_is_printed_as_yaml_reads_back(data: dict[str, Any]) -> None:
    assert parse_yaml(to_yaml(data) if data else "{}", "next.yaml").data == data
