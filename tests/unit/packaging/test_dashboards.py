"""The dashboards: what Grafana needs of them, and that they ask only what somebody exports."""

import json
import re
from typing import Any

import pytest

from hack.generate.dashboards import dashboards, queries
from tuning_contract.metrics import TRIAL_METRIC_PREFIX

TEXTS = {path.stem: text for path, text in dashboards().items() if path.suffix == ".json"}
BOTH = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())

OPERATOR_METRICS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "tuning_operator_api_request_seconds_bucket",
    "tuning_operator_api_requests_total",
    "tuning_operator_api_server_up",
    "tuning_operator_prometheus_queries_total",
    "tuning_operator_prometheus_query_seconds_bucket",
    "tuning_operator_prometheus_up",
    "tuning_operator_queue_depth",
    "tuning_operator_queue_oldest_seconds",
    "tuning_operator_reconcile_seconds_bucket",
    "tuning_operator_reconciles_total",
    "tuning_operator_results_total",
    "tuning_operator_trial_gap_seconds_bucket",
    "tuning_study_best_objective",
    "tuning_study_max_trials",
    "tuning_study_trials",
}


def panels(text: str) -> list[dict[str, Any]]:
    """Return a dashboard's panels without its rows."""
    return [panel for panel in json.loads(text)["panels"] if panel["type"] != "row"]


@BOTH
def test_every_panel_has_its_own_number(text: str) -> None:
    numbers = [panel["id"] for panel in json.loads(text)["panels"]]
    assert sorted(set(numbers)) == sorted(numbers)
    assert 0 not in numbers


@BOTH
def test_the_datasource_is_chosen_by_the_reader(text: str) -> None:
    variables = {variable["name"]: variable for variable in json.loads(text)["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    asked = [target for panel in panels(text) for target in panel["targets"]]
    others = [variable for variable in variables.values() if variable["type"] == "query"]
    assert all(thing["datasource"] == chosen for thing in [*panels(text), *asked, *others])


@BOTH
def test_panels_lie_side_by_side(text: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(text)["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not taken & cells, panel["title"]
        taken |= cells


@BOTH
def test_every_panel_says_what_it_shows_and_asks_something(text: str) -> None:
    assert all(panel["title"] and panel["targets"] for panel in panels(text))


@BOTH
def test_nobody_is_asked_for_what_nobody_exports(text: str) -> None:
    for query in queries(text):
        asked = set(re.findall(r"\b(?:tuning|process)_[a-z_]+\b", re.sub(r"\{.*?\}", "", query)))
        assert asked, query
        assert all(name in OPERATOR_METRICS or name.startswith(TRIAL_METRIC_PREFIX) for name in asked), query


@BOTH
def test_queries_come_without_variables(text: str) -> None:
    asked = queries(text, {"namespace": "team", "study": "digits"})
    assert len(asked) == sum(len(panel["targets"]) for panel in panels(text))
    assert all("$" not in query for query in asked)


def test_a_dashboard_has_a_fixed_address() -> None:
    assert [json.loads(text)["uid"] for text in TEXTS.values()] == ["tuning-operator-study", "tuning-operator-health"]
