"""The samples about conclusions, on real training: what the operator finds in them, and the studies that follow."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from hack.paths import ROOT
from tests.e2e.studies import a_training
from tests.support.live import Live, Manifest, Namespace, until

SAMPLES = ROOT / "manifests" / "samples"
MINUTES = 900.0


@pytest.fixture(scope="module")
def concluded(live: Live, shared_namespace: Namespace) -> Namespace:
    """The three samples at their ends, with what follows from them."""
    for number, last in (("06", "range-too-small-r2"), ("07", "under-tuned"), ("08", "cured-by-warmup-r2")):
        (sample,) = SAMPLES.glob(f"{number}-*.yaml")
        live.say(f"kubectl apply -f manifests/samples/{sample.name}")
        shared_namespace.kubectl("apply", "--filename", sample)
        until(f"the study {last} exists", lambda: _exists(shared_namespace, last), MINUTES)  # noqa: B023
        shared_namespace.wait_for_success(last, MINUTES)
    return shared_namespace


def _exists(namespace: Namespace, study: str) -> bool:
    return study in namespace.kubectl("get", "studies", "--output=name")


def findings(study: Manifest, code: str) -> list[dict[str, Any]]:
    """Return what the status says of one code."""
    return [finding for finding in study["status"]["findings"] if finding["code"] == code]


def learning_rate(study: Manifest) -> dict[str, Any]:
    """Return the range that a study searches."""
    return next(h for h in study["spec"]["hyperparameters"] if h["name"] == "learning_rate")


def test_a_range_that_is_too_small_is_noticed_and_the_study_that_follows_reaches_the_best_rate(
    concluded: Namespace,
) -> None:
    first, second = (concluded.study(name) for name in ("range-too-small", "range-too-small-r2"))
    (edge,) = findings(first, "SearchSpaceEdge")
    assert (edge["verdict"], edge["parameter"], edge["side"]) == ("Expand", "learning_rate", "high")
    assert first["status"]["conclusion"]["state"] == "Blocked"
    assert "winner" not in first["status"]["conclusion"]
    assert concluded.condition("range-too-small", "SearchSpaceAdequate")["reason"] == "Expand"
    assert first["status"]["nextStudy"]["applied"] is True
    assert second["metadata"]["annotations"]["tuning-operator.dev/follows"] == "range-too-small"
    assert learning_rate(second)["high"] == pytest.approx(0.2)
    best = {p["name"]: float(p["value"]) for p in second["status"]["best"]["parameters"]}["learning_rate"]
    assert 0.02 < best < 0.19, "inside the wider range, and outside the first one"
    assert not any(f["verdict"] == "Expand" for f in findings(second, "SearchSpaceEdge"))


def test_an_arm_that_was_not_tuned_blocks_the_conclusion_and_the_proposal_tunes_both(concluded: Namespace) -> None:
    study = concluded.study("under-tuned")
    (unfair,) = (f for f in findings(study, "FairComparison") if f["verdict"] == "NotTuned")
    assert unfair["severity"] == "Block"
    assert (unfair["parameter"], unfair["scientific"]) == ("learning_rate", {"optimizer": "nesterov"})
    assert study["status"]["conclusion"]["reason"] == "NotTuned"
    ready = concluded.condition("under-tuned", "ConclusionReady")
    assert (ready["status"], ready["reason"]) == ("True", "Blocked")
    proposed = study["status"]["nextStudy"]["manifest"]
    roles = {h["name"]: h["role"] for h in proposed["spec"]["hyperparameters"]}
    assert roles["adamw_learning_rate"] == roles["nesterov_learning_rate"] == "Nuisance"
    assert not _exists(concluded, proposed["metadata"]["name"]), "it is proposed, and nobody applied it"


def test_what_is_proposed_is_a_study_that_the_api_server_takes(concluded: Namespace, tmp_path: Path) -> None:
    file = tmp_path / "next.json"
    file.write_text(json.dumps(concluded.study("under-tuned")["status"]["nextStudy"]["manifest"]))
    assert "created" in concluded.kubectl("apply", "--dry-run=server", "--filename", file)


def test_instability_is_told_from_a_range_that_is_too_small_and_a_warm_up_cures_it(concluded: Namespace) -> None:
    first, second = (concluded.study(name) for name in ("cured-by-warmup", "cured-by-warmup-r2"))
    verdicts = {f["verdict"] for f in findings(first, "Instability")}
    assert verdicts & {"Suspected", "ConfirmedEarly", "HiddenEarly"}
    assert not any(f["verdict"] == "Expand" for f in findings(first, "SearchSpaceEdge"))
    warmup = next(h for h in second["spec"]["hyperparameters"] if h["name"] == "warmup_steps")
    assert warmup["role"] == "Scientific"
    trials = [t for t in concluded.trials("cured-by-warmup-r2") if t["status"]["state"] == "Succeeded"]
    rates: dict[int, float] = {}
    for trial in trials:
        parameters = json.loads(trial["spec"]["parameters"])
        steps = parameters["warmup_steps"]
        rates[steps] = max(rates.get(steps, 0.0), parameters["learning_rate"])
    assert rates[60] > 2 * rates[0], "the longest warm-up gives access to rates that fail without one"
    found = {f["verdict"] for f in findings(second, "Warmup")}
    assert found & {"Found", "RaiseSteps"}, "the shortest warm-up that survives is named"
    assert second["status"]["best"]["value"] < first["status"]["best"]["value"]


def test_the_report_of_a_study_is_one_file_that_needs_nothing_else(
    concluded: Namespace, tmp_path: Path, keep: Callable[[str, str], None]
) -> None:
    file = tmp_path / "report.html"
    _tuning(concluded, "report", "range-too-small-r2", "-o", "html", "--output", str(file))
    text = file.read_text()
    keep("report.html", text)
    assert "learning_rate" in text
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=.https?:", text)


def test_the_next_study_can_be_printed_for_kubectl(concluded: Namespace) -> None:
    printed = YAML(typ="safe", pure=True).load(_tuning(concluded, "next", "under-tuned"))
    assert printed == concluded.study("under-tuned")["status"]["nextStudy"]["manifest"]


def _tuning(namespace: Namespace, *arguments: str) -> str:
    """Run `kubectl tuning` as a user would, against the cluster."""
    command = [sys.executable, "-m", "tuning_cli", *arguments, "--namespace", namespace.name]
    environment = {
        **os.environ,
        "KUBECONFIG": str(namespace.live.cluster.kubeconfig),
        "PYTHONPATH": str(ROOT / "operator"),
    }
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def test_the_trainer_s_probes_say_which_batch_size_is_fast(namespace: Namespace) -> None:
    sizes = [16, 32, 64]
    # The warm-up is longer than a probe: the trainer would refuse one whose schedule was not shortened with it.
    fixed = {"workload": "tabular", "max_steps": 300, "warmup_steps": 120, "batch_size": 32}
    namespace.apply(a_training("sizes", trials=2, fixed=fixed, training={"batchSizes": sizes}))
    status = namespace.wait_for_success("sizes")["status"]
    probes = [t for t in namespace.trials("sizes") if t["spec"]["purpose"] == "BatchSizeProbe"]
    measured = [json.loads(t["status"]["result"]["diagnostics"])["throughput"] for t in probes]
    assert [m["batchSize"] for m in measured] == sizes[: len(measured)]
    told = [json.loads(t["spec"]["parameters"]) for t in probes]
    assert {(each["max_steps"], each["warmup_steps"]) for each in told} == {(100, 40)}
    assert len(measured) >= 2
    assert all(m["examplesPerSecond"] > 0 for m in measured)
    (found,) = [f for f in status["findings"] if f["code"] == "BatchSize" and f["verdict"] in ("Chosen", "Bottleneck")]
    assert found["evidence"]["trials"]
