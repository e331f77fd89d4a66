"""Where results come from: the record with no Prometheus, Prometheus with no record, and neither."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.studies import a_script, a_training
from tests.support.live import PROMETHEUS, SCRAPE_SECONDS, Live, Namespace
from tuning_contract.record import FinalRecord

EVALUATIONS = 24


def export(series: str, step_series: str, linger: float) -> None:
    """Export a falling value, write no record: what an image does that knows nothing of us."""
    import os
    import time

    from prometheus_client import Gauge, start_http_server

    start_http_server(int(os.environ["TUNING_METRICS_PORT"]))
    value = Gauge(series, "The objective.")
    step = Gauge(step_series, "The step.") if step_series else None
    for number in range(1, 25):
        value.set(1 / number)
        if step:
            step.set(number)
        time.sleep(0.5)
    time.sleep(linger)


def end_without_a_word() -> None:
    """Train in silence, for longer than a scrape would take."""
    import time

    time.sleep(8)


def test_a_study_without_prometheus_ends_with_exact_results(live: Live, namespace: Namespace) -> None:
    live.scale(PROMETHEUS, 0)
    try:
        namespace.apply(a_training("alone", trials=3, parallel=2, fixed={"max_steps": 60}, slow=0.1))
        status = namespace.wait_for_success("alone")["status"]
    finally:
        live.scale(PROMETHEUS, 1)
    assert status["trials"]["succeeded"] == 3
    assert namespace.condition("alone", "MetricsAvailable")["reason"] == "PrometheusUnreachable"
    for trial in namespace.trials("alone"):
        (pod,) = namespace.pods(trial=trial["metadata"]["name"])
        record = FinalRecord.decode(pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"])
        assert record.best is not None
        result = trial["status"]["result"]
        assert (result["source"], result["value"]) == ("Record", record.best.value)


@pytest.fixture(scope="module")
def unrecorded(live: Live, shared_namespace: Namespace) -> Namespace:
    """Images that write no record, side by side."""
    live.say("studies of images without a record")
    metrics = {"metrics": {"port": 9100}}
    last = {"metric": "loss", "at": "Last"}
    shared_namespace.apply(
        a_script("lingering", export, arguments=("tuning_trial_objective", "tuning_trial_step", 6), objective=last),
        a_script(
            "hurried", export, arguments=("their_loss", "", 0), objective={**last, "series": "their_loss"}, **metrics
        ),
        a_script("silent", end_without_a_word, budget={"maxFailedTrials": 0}),
    )
    for study in ("lingering", "hurried", "silent"):
        shared_namespace.wait_for_end(study)
    return shared_namespace


def the_result(namespace: Namespace, study: str) -> dict[str, Any]:
    """Return the result of a study's only trial."""
    return dict(namespace.trial(study)["status"]["result"])


def test_an_exporter_that_lingers_has_its_last_value_seen(unrecorded: Namespace) -> None:
    result = the_result(unrecorded, "lingering")
    assert result["source"] == "Prometheus"
    assert (result["value"], result["step"]) == (1 / EVALUATIONS, EVALUATIONS)
    rows = json.loads(result["curve"])["rows"]
    assert rows[-1][:2] == [EVALUATIONS, pytest.approx(1 / EVALUATIONS)]
    assert all(value == pytest.approx(1 / step) for step, value, *_ in rows)


def test_an_exporter_that_does_not_has_a_value_at_most_some_scrapes_old(
    unrecorded: Namespace, figure: Callable[[str, float], None]
) -> None:
    result = the_result(unrecorded, "hurried")
    assert result["source"] == "Prometheus"
    assert result["value"] in [1 / number for number in range(1, EVALUATIONS + 1)]
    assert "step" not in result
    figure("result without a record: seconds between the last sample and the end", result["sampleAgeSeconds"])
    # One interval, and what a busy machine adds to it.
    assert 0 <= result["sampleAgeSeconds"] <= 3 * SCRAPE_SECONDS
    best = unrecorded.study("hurried")["status"]["best"]
    assert (best["source"], best["value"]) == ("Prometheus", result["value"])


def test_neither_record_nor_metrics_is_a_lost_result_and_never_a_score(unrecorded: Namespace) -> None:
    study, trial = unrecorded.study("silent"), unrecorded.trial("silent")
    assert trial["status"]["state"] == "Failed"
    assert trial["status"]["reason"] == "ResultLost"
    assert trial["status"]["attempt"] == 1
    assert "result" not in trial["status"]
    assert study["status"]["state"] == "Failed"
    assert study["status"]["trials"]["failed"] == 1
    seen = unrecorded.condition("silent", "MetricsAvailable")
    assert seen["reason"] == "SeriesMissing"
    assert "port 8000, path /metrics" in seen["message"]
    assert len(unrecorded.pods("silent")) == 2
