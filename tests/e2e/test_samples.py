"""The numbered samples as users run them, the dashboards over them, and the same study with the operator killed."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from hack.generate.dashboards import queries
from hack.paths import ROOT
from tests.support.live import CHART, Live, Manifest, Namespace, until
from tuning_contract.record import FinalRecord

SAMPLES = sorted((ROOT / "manifests" / "samples").glob("0[1-5]-*.yaml"))
"""Those about conclusions, and the studies that follow from them, are in test_conclusions."""
FIRST = SAMPLES[0]
MINUTES = 600.0
INTERRUPTED = "resume-after-interruption"


@dataclass(frozen=True)
class Run:
    """What came of the samples."""

    namespace: Namespace
    began: float
    ended: float


def study_of(sample: Path) -> Manifest:
    """Return the one study of a sample."""
    documents = YAML(typ="safe", pure=True).load_all(sample.read_text())
    return next(dict(document) for document in documents if document["kind"] == "TuningStudy")


def outcomes(namespace: Namespace, study: str) -> dict[int, tuple[str, str, Any]]:
    """Return what each trial was and came to: what must not depend on disturbances."""
    return {
        trial["spec"]["index"]: (
            trial["spec"]["parameters"],
            trial["status"]["state"],
            trial["status"]["result"]["value"],
        )
        for trial in namespace.trials(study)
    }


@pytest.fixture(scope="module")
def run(live: Live, shared_namespace: Namespace) -> Run:
    """All samples; the one about interruptions is interrupted as its first lines say.

    On two cores there is room for the trials of two samples at a time.
    """
    namespace, began = shared_namespace, time.time()

    def apply(sample: Path) -> None:
        live.say(f"kubectl apply -f manifests/samples/{sample.name}")
        namespace.kubectl("apply", "--filename", sample)

    first, *rest = SAMPLES
    (interrupted,) = (sample for sample in rest if sample.stem.endswith(INTERRUPTED))
    others = [sample for sample in rest if sample is not interrupted]
    apply(interrupted)
    apply(first)
    namespace.wait_until_trained(INTERRUPTED, 100, 2)
    command = next(line for line in interrupted.read_text().splitlines() if "kubectl delete pod" in line)
    live.say(command.strip("# "))
    namespace.kubectl(*command.strip("# ").split()[1:])
    namespace.wait_for_end(study_of(first)["metadata"]["name"], MINUTES)
    for sample in others:
        apply(sample)
        namespace.wait_for_end(study_of(sample)["metadata"]["name"], MINUTES)
    namespace.wait_for_end(INTERRUPTED, MINUTES)
    return Run(namespace, began, time.time())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_succeeds_and_its_status_is_what_its_trials_say(run: Run, sample: Path) -> None:
    written = study_of(sample)
    name, wanted = written["metadata"]["name"], written["spec"]["budget"]["maxTrials"]
    status, trials = run.namespace.study(name)["status"], run.namespace.trials(name)
    assert status["state"] == "Succeeded"
    assert status["progress"] == f"{wanted}/{wanted}"
    allowed = [trial for trial in trials if not trial["status"]["result"]["violations"]]
    assert {state: count for state, count in status["trials"].items() if count} == {
        "total": wanted,
        "succeeded": wanted,
        **({"violating": wanted - len(allowed)} if len(allowed) < wanted else {}),
        **({"infrastructureRetries": 2} if name == INTERRUPTED else {}),
    }
    # Of equals the first one: of 360 digits, two models may misclassify as many.
    best = min(allowed, key=lambda trial: (float(trial["status"]["result"]["value"]), int(trial["spec"]["index"])))
    assert (status["best"]["trial"], status["best"]["value"]) == (
        best["metadata"]["name"],
        best["status"]["result"]["value"],
    )
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    assert conditions["Accepted"] == conditions["Succeeded"] == "True"
    # Trials of a second are over before they are scraped, here every two seconds; the interrupted sample's are not.
    assert name != INTERRUPTED or conditions["MetricsAvailable"] == "True"
    assert conditions["Failed"] == "False"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_each_result_is_exactly_what_the_container_recorded(run: Run, sample: Path) -> None:
    for trial in run.namespace.trials(study_of(sample)["metadata"]["name"]):
        (pod,) = (p for p in run.namespace.pods(trial=trial["metadata"]["name"]) if _terminated(p)["exitCode"] == 0)
        record = FinalRecord.decode(_terminated(pod)["message"])
        result = trial["status"]["result"]
        assert record.best is not None
        assert (result["source"], result["value"], result["step"]) == ("Record", record.best.value, record.best.step)
        environment = {e["name"]: e.get("value") for e in pod["spec"]["containers"][0]["env"]}
        assert environment["TUNING_PARAMETERS"] == trial["spec"]["parameters"]
        assert record.parameters_hash == trial["spec"]["parametersHash"]


def test_the_interrupted_sample_went_on_from_its_checkpoints(run: Run) -> None:
    trials = run.namespace.trials(INTERRUPTED)
    resumed = [trial["status"].get("resumedFrom") for trial in trials]
    assert all(step is not None and step >= 100 for step in resumed[:2])
    assert resumed[2:] == [None, None]
    for trial in trials:
        steps = [step for step, *_ in json.loads(trial["status"]["result"]["curve"])["rows"]]
        assert steps == sorted(set(steps))
        assert steps[-1] == 600


def test_the_model_takes_over_where_the_sample_says_so(run: Run) -> None:
    trials = sorted(run.namespace.trials("explore-then-exploit"), key=lambda trial: int(trial["spec"]["index"]))
    drawn_by = [trial["spec"]["suggestedBy"] for trial in trials]
    assert drawn_by == ["List"] + ["QuasiRandom"] * 9 + ["Bayesian"] * 6
    assert len({trial["spec"]["parameters"] for trial in trials}) == len(trials)


def test_what_kubectl_shows_can_be_read(run: Run, keep: Callable[[str, str], None]) -> None:
    kubectl = run.namespace.kubectl
    shown = {
        "get.txt": kubectl("get", "studies,trials"),
        "get-wide.txt": kubectl("get", "studies,trials", "--output=wide"),
        "describe.txt": kubectl("describe", "study", "first-study"),
        "describe-trial.txt": kubectl("describe", "trial", run.namespace.trials("first-study")[0]["metadata"]["name"]),
        "explain.txt": kubectl("explain", "tuningstudy.spec.hyperparameters"),
        "events.txt": kubectl("events", "--for=tuningstudy/first-study"),
        "study.yaml": kubectl("get", "study", "first-study", "--output=yaml"),
    }
    for name, text in shown.items():
        keep(name, text)
    assert re.search(r"first-study +Succeeded +8/8", shown["get.txt"])
    assert "StudySucceeded" in shown["describe.txt"]
    assert "Does AdamW beat" in shown["get-wide.txt"]
    assert "FIELD" in shown["explain.txt"]


@pytest.mark.parametrize("dashboard", sorted((CHART / "dashboards").glob("*.json")), ids=lambda path: path.stem)
def test_every_question_of_the_dashboards_has_an_answer(run: Run, dashboard: Path) -> None:
    variables = {"namespace": run.namespace.name, "study": INTERRUPTED}
    asked = queries(dashboard.read_text(), variables)
    assert asked
    unanswered = [query for query in asked if not run.namespace.live.ask_over_time(query, run.began, run.ended)]
    assert unanswered == []


def test_the_next_trial_starts_at_once(run: Run, figure: Callable[[str, float], None]) -> None:
    created, started = [], []
    for sample in SAMPLES[:2]:
        pods = run.namespace.pods(study_of(sample)["metadata"]["name"])
        ends = sorted(_time(_terminated(pod)["finishedAt"]) for pod in pods)
        creations = sorted(_time(pod["metadata"]["creationTimestamp"]) for pod in pods)
        starts = sorted(_time(_terminated(pod)["startedAt"]) for pod in pods)
        parallel = study_of(sample)["spec"]["budget"]["parallelTrials"]
        created += [(later - end).total_seconds() for later, end in zip(creations[parallel:], ends, strict=False)]
        started += [(later - end).total_seconds() for later, end in zip(starts[parallel:], ends, strict=False)]
    figure("all samples: seconds", run.ended - run.began)
    # Kubernetes' timestamps are whole seconds.
    figure("container's end to next pod's creation: seconds, mean", sum(created) / len(created))
    figure("container's end to next pod's creation: seconds, worst", max(created))
    figure("container's end to next container's start: seconds, mean", sum(started) / len(started))
    figure("container's end to next container's start: seconds, worst", max(started))
    metrics = run.namespace.live.operator_metrics()
    count = metrics["tuning_operator_trial_gap_seconds_count"]
    figure("tuning_operator_trial_gap_seconds: mean", metrics["tuning_operator_trial_gap_seconds_sum"] / count)
    figure("operator after the samples: resident MiB", metrics["process_resident_memory_bytes"] / 2**20)
    assert sum(created) / len(created) < 3
    assert metrics["process_resident_memory_bytes"] < 300 * 2**20


@pytest.mark.usefixtures("own_cluster")
def test_a_killed_operator_loses_nothing_and_repeats_nothing(run: Run, live: Live, namespace: Namespace) -> None:
    study = "first-study"
    namespace.kubectl("apply", "--filename", FIRST)
    for results in (1, 4):
        until(f"{results} trials have a result", lambda: _results(namespace, study) >= results, MINUTES)  # noqa: B023
        live.say("kill -9 of the operator")
        live.kill_operator()
    status = namespace.wait_for_success(study, MINUTES)["status"]
    assert status["trials"]["total"] == status["trials"]["succeeded"] == 8
    assert outcomes(namespace, study) == outcomes(run.namespace, study)
    undisturbed = run.namespace.study(study)["status"]["best"]
    assert (status["best"]["value"], status["best"]["parameters"]) == (undisturbed["value"], undisturbed["parameters"])
    assert len(namespace.pods(study)) == 8


def _results(namespace: Namespace, study: str) -> int:
    return int(namespace.study(study).get("status", {}).get("trials", {}).get("succeeded", 0))


def _terminated(pod: Manifest) -> Manifest:
    return dict(pod["status"]["containerStatuses"][0]["state"]["terminated"])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
