"""Results and Prometheus: exact without it where there is a record, its last sample where there is none."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.cluster.operator.conftest import Lab, a_small_study, scraped
from tests.support.kubelet import Attempt, Container, Ends, Runs, loss
from tests.support.operators import Operator
from tests.support.prometheus import FakePrometheus
from tuning_contract.metrics import TRIAL_OBJECTIVE, TRIAL_STEP
from tuning_operator.api import names

ONE = {"maxTrials": 1, "parallelTrials": 1}


def silent(_: Attempt) -> Ends:
    """End well and leave no record."""
    return Ends()


def test_a_trial_without_a_record_has_the_last_sample_as_its_result(lab: Lab, prometheus: FakePrometheus) -> None:
    def script(attempt: Attempt) -> Container:
        curve = {
            TRIAL_OBJECTIVE: [(9.0, 0.9), (6.0, 0.4), (3.0, 0.5)],
            TRIAL_STEP: [(9.0, 10.0), (6.0, 20.0), (3.0, 30.0)],
        }
        scraped(prometheus, attempt, **curve)
        return silent(attempt)

    lab.script(script)
    lab.create(a_small_study(budget=ONE))
    status = lab.await_state("Succeeded")
    result = lab.trial()["result"]
    assert (result["source"], result["value"], result["step"]) == ("Prometheus", 0.4, 20)
    assert result["last"] == {"value": 0.5, "step": 30}
    assert 1 <= result["sampleAgeSeconds"] <= 30
    assert status["best"]["source"] == "Prometheus"


def test_a_result_that_nobody_saw_is_looked_for_once_more_and_then_the_trial_failed(lab: Lab) -> None:
    lab.script(silent)
    lab.create(a_small_study(budget={**ONE, "maxFailedTrials": 0}))
    lab.await_state("Failed")
    trial = lab.trial()
    assert (trial["state"], trial["reason"], trial["attempt"]) == ("Failed", "ResultLost", 1)
    assert "result" not in trial
    assert TRIAL_OBJECTIVE in trial["message"]
    said = lab.condition("MetricsAvailable")
    assert (said["status"], said["reason"]) == ("False", "SeriesMissing")
    assert "without a final record" in said["message"]


def test_missing_metrics_are_reported_with_what_was_looked_for_and_seen(lab: Lab, prometheus: FakePrometheus) -> None:
    def script(attempt: Attempt) -> Container:
        scraped(prometheus, attempt, loss_of_something_else=[(1, 1.0)])
        return Runs()

    lab.script(script)
    lab.create(a_small_study(budget=ONE, metrics={"port": 9123}))
    said = lab.until(
        "it is said", lambda: c if (c := lab.condition("MetricsAvailable")).get("status") == "False" else None
    )
    assert said["reason"] == "SeriesMissing"
    for part in (TRIAL_OBJECTIVE, names.LABEL_TRIAL, "9123", "/metrics", "loss_of_something_else"):
        assert part in said["message"]
    attempt = lab.kubelet.live(lab.namespace)[0]
    scraped(prometheus, attempt, **{TRIAL_OBJECTIVE: [(1.0, 0.7)], TRIAL_STEP: [(1.0, 40.0)]})
    lab.until("the metrics are there", lambda: lab.condition("MetricsAvailable").get("status") == "True")
    lab.until("progress is shown", lambda: lab.trial().get("progress", {}).get("value") == 0.7)


def test_without_prometheus_results_are_exact_all_the_same(
    bench: Callable[[], Lab], operator: Operator, operator_kubeconfig: Path, tmp_path: Path
) -> None:
    operator.kill()
    lab = bench()
    with Operator(operator_kubeconfig, tmp_path / "log", scrape_interval="0.2") as blind:
        lab.create(a_small_study())
        lab.await_state("Succeeded")
        for trial in lab.trials().values():
            result = trial["status"]["result"]
            assert (result["source"], result["value"]) == ("Record", loss(json.loads(trial["spec"]["parameters"])))
        lab.script(lambda _: Runs())
        lab.create(a_small_study("second"))
        lab.until(
            "Prometheus is missed",
            lambda: lab.condition("MetricsAvailable", "second").get("reason") == "PrometheusUnreachable",
        )
        assert blind.probe("healthz") == 200
        assert blind.unready() == "no answer from Prometheus"
    operator.start()
    operator.await_ready()
