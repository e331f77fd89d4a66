"""The chart's values: each has its meaning, its place in the schema and its row in the README."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML

from hack.generate.chart import CHART, README, VALUES, described, readme
from hack.paths import ROOT

TEXT = (ROOT / VALUES).read_text()
DEFAULTS = YAML(typ="safe", pure=True).load(TEXT)
SCHEMA = json.loads((ROOT / CHART / "values.schema.json").read_text())

FREE = {"prometheus.resources", "resources", "dashboards.labels"}
"""Objects that are one value: Kubernetes or the user says what is in them."""


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Return the paths of all values that a user may set."""
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value and path not in FREE:
            yield from leaves(value, f"{path}.")
        else:
            yield path


def in_schema(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Return the paths of all values that the schema knows."""
    for key, value in schema["properties"].items():
        path = f"{prefix}{key}"
        if "properties" in value:
            yield from in_schema(value, f"{path}.")
        else:
            yield path


def test_every_value_is_described() -> None:
    assert [value.path for value in described(TEXT)] == list(leaves(DEFAULTS))


def test_the_schema_knows_every_value_and_no_other() -> None:
    assert set(in_schema(SCHEMA)) - {"global"} == set(leaves(DEFAULTS))


def test_the_readme_has_the_table() -> None:
    text = (ROOT / README).read_text()
    assert readme(text, TEXT) == text
    assert "| `prometheus.scrapeInterval` | `15s` |" in text


def test_a_description_goes_on_over_lines_and_ends_at_its_value() -> None:
    values = "a:\n  # -- One\n  # two.\n  b: 1\n  # Not described.\n  c: 2\n"
    assert [(value.path, value.default, value.description) for value in described(values)] == [("a.b", 1, "One two.")]


def test_a_readme_without_a_place_for_the_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for the table"):
        readme("# Chart", TEXT)
