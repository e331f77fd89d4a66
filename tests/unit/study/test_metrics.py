"""MetricsAvailable says what was looked for where a running trial's series is missing."""

from typing import Any

import pytest

from tests.support.views import NOW, a_job, a_pod, a_snapshot, a_study, a_trial, after, running, samples, seconds
from tuning_operator.api.base import Condition
from tuning_operator.api.study_status import TuningStudyStatus
from tuning_operator.study.metrics import metrics_available, trials_without_metrics
from tuning_operator.study.snapshot import MetricsView, Settings, Snapshot

TRIAL = a_trial(state="Running")
JOB = a_job(TRIAL)
SEEN = MetricsView(latest={TRIAL.name: samples(0.5)[0]})


def world(second: float, metrics: MetricsView | None = None, **fields: Any) -> Snapshot:
    """A trial runs since second 0; Prometheus scrapes every 15 seconds."""
    return a_snapshot(
        **{"trials": [TRIAL], "jobs": [JOB], "pods": [running(JOB)], **fields},
        now=after(second),
        metrics=metrics or MetricsView(),
        settings=Settings(scrape_interval=seconds(15)),
    )


def before(status: str, reason: str, message: str = "as before") -> Condition:
    return Condition.model_validate(
        {"type": "MetricsAvailable", "status": status, "reason": reason, "message": message, "lastTransitionTime": NOW}
    )


@pytest.mark.parametrize(
    ("second", "metrics", "status", "reason"),
    [
        (44, MetricsView(), "Unknown", "NotYetKnown"),
        (45, MetricsView(), "False", "SeriesMissing"),
        (1, SEEN, "True", "SeriesFound"),
        (100, SEEN, "True", "SeriesFound"),
        (100, MetricsView(reachable=False, error="refused", since=after(56)), "Unknown", "NotYetKnown"),
        (100, MetricsView(reachable=False, error="refused", since=after(55)), "False", "PrometheusUnreachable"),
        (100, MetricsView(reachable=False, error="refused"), "Unknown", "NotYetKnown"),
    ],
)
def test_patience_is_three_scrape_intervals(second: float, metrics: MetricsView, status: str, reason: str) -> None:
    found = metrics_available(world(second, metrics))
    assert (found.status.value, found.reason) == (status, reason)


def test_the_message_says_what_was_looked_for_and_what_was_seen() -> None:
    study = a_study(metrics={"port": 9090, "path": "/m"}, objective={"series": "my_loss"})
    snapshot = world(60, MetricsView(names_seen=("up", "my_los")), study=study)
    message = metrics_available(snapshot).message
    for part in ("my_loss", TRIAL.name, "tuning-operator.dev/trial", "9090", "/m", "up, my_los"):
        assert part in message
    assert "pods: none." in metrics_available(world(60)).message


@pytest.mark.parametrize(
    "fields",
    [
        {"pods": [a_pod(JOB)]},
        {"pods": [a_pod(JOB, exit_code=0)]},
        {"trials": [a_trial(state="Pending")]},
        {"trials": [a_trial(state="Succeeded")]},
        {"trials": [], "jobs": [], "pods": []},
        {"jobs": [], "pods": []},
    ],
)
def test_only_pods_that_run_should_have_been_scraped(fields: dict[str, Any]) -> None:
    assert trials_without_metrics(world(1000, **fields)) == []


def test_where_nothing_is_known_the_condition_stays() -> None:
    status = TuningStudyStatus(conditions=[before("True", "SeriesFound")])
    idle = world(1000, study=a_study(status=status), trials=[], jobs=[], pods=[])
    assert metrics_available(idle) == before("True", "SeriesFound")


def test_another_wording_of_the_same_failure_is_not_worth_a_write() -> None:
    known = before("False", "PrometheusUnreachable", "Prometheus does not answer: timeout after 5.01 s")
    study = a_study(status=TuningStudyStatus(conditions=[known]), view={"generation": 0})
    down = MetricsView(reachable=False, error="timeout after 5.02 s", since=NOW)
    assert metrics_available(world(1000, down, study=study)) == known


@pytest.mark.parametrize(
    ("state", "status"), [("Pending", "False"), ("Running", "False"), ("Failed", "False"), ("Succeeded", "Unknown")]
)
def test_a_lost_result_says_that_metrics_are_missing(state: str, status: str) -> None:
    trial = a_trial(state=state, results_lost=1)
    found = metrics_available(world(1, MetricsView(names_seen=("loss_total",)), trials=[trial]))
    assert found.status.value == status
    if status == "False":
        assert found.reason == "SeriesMissing"
        for part in (trial.name, "without a final record", "port 8000", "/metrics", "loss_total"):
            assert part in found.message
