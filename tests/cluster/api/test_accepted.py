"""What the API server accepts, what it makes of it, and how kubectl shows it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config
from ruamel.yaml import YAML

from hack import shell
from hack.control_plane import ControlPlane
from hack.tools import binaries
from tests.cluster.conftest import OPERATOR, Cluster, until
from tests.support.builders import Manifest, a_choice, a_fixed, a_range, a_study, a_trial, merged
from tuning_operator.api.base import GROUP, VERSION
from tuning_operator.api.study import TuningStudySpec

LONGEST_NAME = "a." * 126 + "a"


def under(name: str, *values: str) -> Manifest:
    """Return the condition that another hyperparameter has one of these values."""
    return {"name": name, "values": list(values)}


def largest_space() -> list[Manifest]:
    """Return as much as the schema allows, as far as rules look at it: their cost at run time has a limit too."""
    values = [f"{number:x>128}" for number in range(32)]
    names = [f"h{number:0>62}" for number in range(32)]
    root = a_choice(names[0], values=values)
    return [root, *(a_choice(name, values=values, when=under(names[0], *values)) for name in names[1:])]


def most_numbers() -> list[Manifest]:
    """Return the longest lists of texts that are read as numbers."""
    values = [f"{number}.{'1' * 123}" for number in range(32)]
    return [a_choice(f"h{number}", valueType="Float", values=values) for number in range(32)]


ACCEPTED = {
    "two learning rates for two optimizers": [
        a_choice(),
        a_range("adam_rate", parameter="rate", when=under("optimizer", "adamw")),
        a_range("sgd_rate", parameter="rate", when=under("optimizer", "nesterov")),
    ],
    "a condition under a condition": [
        a_choice(),
        a_choice("schedule", values=["cosine", "constant"], when=under("optimizer", "adamw")),
        a_range("warmup", when=under("schedule", "cosine")),
    ],
    "one parameter under different conditions, which the operator judges": [
        a_choice(),
        a_choice("schedule", values=["cosine", "constant"], when=under("optimizer", "adamw")),
        a_range("adam_rate", parameter="rate", when=under("schedule", "cosine")),
        a_range("sgd_rate", parameter="rate", when=under("optimizer", "nesterov")),
    ],
    "a condition on a fixed value": [
        a_choice(role="Fixed", values=None, value="adamw"),
        a_range(when=under("optimizer", "adamw")),
    ],
    "a scientific range": [a_range("depth", type="Integer", role="Scientific", low=1, high=8), a_range()],
    "only fixed ones, a plain repetition": [a_fixed(), a_fixed("dropout", type="Float", value="1e-4")],
    "values in their order": [
        a_choice("width", type="Ordinal", role="Nuisance", values=["16", "32", "64"], valueType="Integer"),
        a_range("skip", when=under("width", "64")),
    ],
    "momentum on the logarithm of its distance from one": [
        a_range("momentum", low=0.8, high=0.999, scale="ReverseLog")
    ],
    "a negative range": [a_range(low=-1.0, high=-0.5)],
    "the widest integers": [a_range("n", type="Integer", low=-9007199254740992, high=9007199254740992)],
    "a number in each spelling": [a_choice(valueType="Float", values=["1", "1e-4", "-2.50", ".5", "3.", "1E+9"])],
    "whole numbers": [a_choice(valueType="Integer", values=["0", "-7", "9007199254740992"])],
    "both Booleans": [a_choice("nesterov", valueType="Boolean", values=["true", "false"])],
    "any text": [a_choice(values=["", "Größe", "a b", '{"x": 1}'])],
    "the largest space": largest_space(),
    "the most numbers": most_numbers(),
}


@pytest.mark.parametrize("hyperparameters", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepts_the_space(dry: Cluster, hyperparameters: list[Manifest]) -> None:
    # Server-side, since kubectl's own way keeps a copy in an annotation, which cannot be as large.
    answer = dry.apply(a_study(hyperparameters=hyperparameters), "--server-side", "--dry-run=server")
    assert answer == "tuningstudy.tuning-operator.dev/digits serverside-applied (server dry run)"


@pytest.mark.parametrize("duration", ["90m", "1h30m", "1.5h", "300ms", "8784h"])
def test_accepts_the_duration(dry: Cluster, duration: str) -> None:
    answer = dry.apply(a_study(budget={"maxDuration": duration}), "--dry-run=server")
    assert answer == "tuningstudy.tuning-operator.dev/digits created (server dry run)"


def test_accepts_the_longest_name(dry: Cluster) -> None:
    answer = dry.apply(a_study(LONGEST_NAME), "--dry-run=server")
    assert answer == f"tuningstudy.tuning-operator.dev/{LONGEST_NAME} created (server dry run)"


def test_fills_in_defaults(cluster: Cluster) -> None:
    cluster.apply(a_study())
    spec = cluster.get("tuningstudy", "digits")["spec"]
    assert spec["objective"] == {"metric": "validation_loss", "direction": "Minimize", "at": "Best"}
    assert spec["search"] == {"algorithm": "QuasiRandom", "replicates": 1, "seed": 0}
    assert spec["metrics"] == {"port": 8000, "path": "/metrics"}
    assert spec["budget"] == {
        "maxTrials": 8,
        "parallelTrials": 1,
        "maxFailedTrials": 3,
        "maxRetrains": 10,
        "maxProbes": 4,
        "maxInfrastructureRetries": 5,
    }
    assert spec["suspend"] is False


def test_fills_in_what_the_models_fill_in(cluster: Cluster) -> None:
    written = a_study()
    cluster.apply(written)
    stored = cluster.get("tuningstudy", "digits")["spec"]
    assert TuningStudySpec.model_validate(stored) == TuningStudySpec.model_validate(written["spec"])


CHANGES = {
    "more trials": {"budget": {"maxTrials": 100}},
    "fewer trials, as many as were started": {"budget": {"maxTrials": 5}},
    "more at once": {"budget": {"parallelTrials": 8}},
    "more time": {"budget": {"maxDuration": "2h"}},
    "a pause": {"suspend": True},
    "another question": {"goal": {"question": "Does it help?"}},
}


@pytest.fixture(scope="module")
def running_study(control_plane: ControlPlane) -> Cluster:
    """A namespace in which six trials of a study were started: two run, three have a result, one failed."""
    control_plane.kubectl("create", "namespace", "accepted")
    cluster = Cluster(control_plane, "accepted")
    cluster.apply(a_study())
    cluster.patch_status("tuningstudy", "digits", {"trials": {"total": 6, "running": 2, "succeeded": 3, "failed": 1}})
    return cluster


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_accepts_the_change(running_study: Cluster, change: dict[str, Any]) -> None:
    answer = running_study.apply(merged(a_study(), {"spec": change}), "--dry-run=server")
    assert answer == "tuningstudy.tuning-operator.dev/digits configured (server dry run)"


# Numbers and texts on their way through three tools, each with its own reader of YAML.

WRITTEN = """
apiVersion: tuning-operator.dev/v1alpha1
kind: TuningStudy
metadata: {name: digits}
spec:
  objective: {metric: validation_loss}
  hyperparameters:
  - {name: rate, type: Float, role: Nuisance, low: 1e-4, high: 1.0, scale: Log}
  - {name: text, type: Categorical, role: Scientific, values: ["1e-4", "1.0", "on", "16", "0x1F", "1_000", "~", "007"]}
  - {name: steps, type: Integer, role: Fixed, value: "1000000"}
  search: {seed: 2147483647}
  budget: {maxTrials: 8}
  trial: {template: {spec: {containers: [{name: trainer, image: localhost/trainer}]}}}
"""

TEXTS = ["1e-4", "1.0", "on", "16", "0x1F", "1_000", "~", "007"]


def through_kubectl(cluster: Cluster, folder: Path) -> None:
    """Apply the text as it is."""
    assert cluster.apply(WRITTEN) == "tuningstudy.tuning-operator.dev/digits created"


def through_python(cluster: Cluster, folder: Path) -> None:
    """Read the text with YAML 1.2 and create the study with the Python client."""
    api = client.CustomObjectsApi(config.new_client_from_config(str(cluster.plane.kubeconfig)))
    study = YAML(typ="safe", pure=True).load(WRITTEN)
    api.create_namespaced_custom_object(GROUP, VERSION, cluster.namespace, "tuningstudies", study)


def through_helm(cluster: Cluster, folder: Path) -> None:
    """Let a chart write the study, with the spec among its values."""
    (folder / "templates").mkdir()
    (folder / "Chart.yaml").write_text("{apiVersion: v2, name: study, version: 0.1.0}\n")
    (folder / "values.yaml").write_text(WRITTEN[WRITTEN.index("spec:") :])
    (folder / "templates/study.yaml").write_text(
        "apiVersion: tuning-operator.dev/v1alpha1\nkind: TuningStudy\nmetadata: {name: digits}\n"
        "spec: {{- toYaml .Values.spec | nindent 2 }}\n"
    )
    rendered = shell.output(binaries.helm, "template", folder)
    assert cluster.apply(rendered) == "tuningstudy.tuning-operator.dev/digits created", rendered


@pytest.mark.parametrize("way", [through_kubectl, through_python, through_helm])
def test_values_arrive_unharmed(cluster: Cluster, tmp_path: Path, way: Callable[[Cluster, Path], None]) -> None:
    way(cluster, tmp_path)
    spec = TuningStudySpec.model_validate(cluster.get("tuningstudy", "digits")["spec"])
    rate, text, steps = spec.hyperparameters
    assert (rate.low, rate.high) == (1e-4, 1.0)
    assert text.values == TEXTS
    assert steps.value == "1000000"
    assert spec.search.seed == 2147483647


# How kubectl shows it.


def test_explains_itself(dry: Cluster) -> None:
    def explanation() -> str:
        return dry.kubectl("explain", "tuningstudy.spec.hyperparameters")

    until("the API server publishes the schema", lambda: "FIELDS:" in explanation())
    words = " ".join(explanation().split())
    assert "The search space: every hyperparameter with its role and its domain." in words
    assert "low <number> The smallest value, for a Float or Integer range." in words
    assert "role <string> -required- enum: Scientific, Nuisance, Fixed" in words


def test_scales(cluster: Cluster) -> None:
    cluster.apply(a_study())
    cluster.patch_status("tuningstudy", "digits", {"trials": {"running": 1}})
    cluster.kubectl("scale", "study", "digits", "--replicas=7")
    study = cluster.get("tuningstudy", "digits")
    assert study["spec"]["budget"]["parallelTrials"] == 7
    scale = json.loads(
        cluster.kubectl(
            "get", "--raw", f"/apis/{GROUP}/{VERSION}/namespaces/{cluster.namespace}/tuningstudies/digits/scale"
        )
    )
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (7, 1)


@pytest.mark.parametrize("name", ["study", "studies", "ts", "tuningstudy", "tuningstudies", "tuning"])
def test_studies_have_short_names(cluster: Cluster, name: str) -> None:
    cluster.apply(a_study())
    assert cluster.kubectl("get", name, "--output=name") == "tuningstudy.tuning-operator.dev/digits"


@pytest.mark.parametrize("name", ["trial", "trials", "tt", "tuningtrial", "tuningtrials", "tuning"])
def test_trials_have_short_names(cluster: Cluster, name: str) -> None:
    cluster.apply(a_trial("digits-0"), user=OPERATOR)
    assert cluster.kubectl("get", name, "--output=name") == "tuningtrial.tuning-operator.dev/digits-0"


def table(text: str) -> list[list[str]]:
    """Return the words of the heads, and those of the row without the age, which no test can know."""
    heads, row = (line.split() for line in text.splitlines())
    return [heads, row[:-1]]


def test_lists_studies(cluster: Cluster) -> None:
    cluster.apply(a_study(goal={"question": "Does it help?"}, search={"seed": 7}))
    cluster.patch_status(
        "tuningstudy",
        "digits",
        {
            "state": "Running",
            "progress": "5/32",
            "trials": {"running": 4, "failed": 1},
            "best": {"trial": "digits-0a1b2c3d-3", "value": 0.0725, "display": "0.0725", "source": "Record"},
            "conclusion": {"state": "Blocked", "reason": "Expand"},
            "nextStudy": {"name": "digits-r2", "goal": "Does it help?"},
        },
    )
    heads, row = table(cluster.kubectl("get", "studies"))
    assert heads == ["NAME", "STATE", "PROGRESS", "RUNNING", "FAILED", "BEST", "BEST-TRIAL", "AGE"]
    assert row == ["digits", "Running", "5/32", "4", "1", "0.0725", "digits-0a1b2c3d-3"]
    wide = cluster.kubectl("get", "studies", "--output=wide").splitlines()
    assert wide[0].split()[8:] == ["OBJECTIVE", "DIRECTION", "PARALLEL", "SEED", "CONCLUSION", "WHY", "NEXT", "GOAL"]
    answer = ["Blocked", "Expand", "digits-r2"]
    assert wide[1].split()[8:] == ["validation_loss", "Minimize", "1", "7", *answer, "Does", "it", "help?"]


def test_lists_trials(cluster: Cluster) -> None:
    cluster.apply(a_trial("digits-0"), user=OPERATOR)
    status = {
        "state": "Succeeded",
        "attempt": 1,
        "job": "digits-0-1",
        "reason": "Completed",
        "result": {"value": 0.25, "display": "0.25", "step": 600, "source": "Record"},
    }
    cluster.patch_status("tuningtrial", "digits-0", status, user=OPERATOR)
    heads, row = table(cluster.kubectl("get", "trials"))
    assert heads == ["NAME", "STUDY", "STATE", "VALUE", "STEP", "ATTEMPT", "AGE"]
    assert row == ["digits-0", "digits", "Succeeded", "0.25", "600", "1"]
    wide = cluster.kubectl("get", "trials", "--output=wide").splitlines()
    assert wide[0].split()[7:] == ["PURPOSE", "OF", "REASON", "SOURCE", "BY", "JOB", "PARAMETERS"]
    assert wide[1].split()[7:] == ["Search", "Completed", "Record", "digits-0-1", '{"learning_rate":', "0.01}"]


def test_selects_trials_by_field(cluster: Cluster) -> None:
    for number, study in enumerate(["digits", "digits", "letters"]):
        cluster.apply(a_trial(f"trial-{number}", study=study), user=OPERATOR)
    cluster.patch_status("tuningtrial", "trial-0", {"state": "Running"}, user=OPERATOR)

    def selected(selector: str) -> list[str]:
        return [item["metadata"]["name"] for item in cluster.get("trials", f"--field-selector={selector}")["items"]]

    assert selected("spec.studyRef.name=digits") == ["trial-0", "trial-1"]
    assert selected("spec.studyRef.name=digits,status.state=Running") == ["trial-0"]
