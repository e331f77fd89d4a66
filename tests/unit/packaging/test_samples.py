"""The samples: numbered, each a study that the models read and the trainer understands."""

from pathlib import Path
from typing import Any

import pytest
from kubernetes.utils import parse_quantity
from ruamel.yaml import YAML

from hack.paths import ROOT
from tuning_operator.api.base import API_VERSION
from tuning_operator.api.findings import Severity
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.acknowledged import acknowledged
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.specification import check
from tuning_trainer.parameters import Parameters

SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
EACH = pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)


def study(sample: Path) -> dict[str, Any]:
    """Return the one study of a sample."""
    (found,) = (
        document
        for document in YAML(typ="safe", pure=True).load_all(sample.read_text())
        if document["kind"] == "TuningStudy"
    )
    return dict(found)


def test_they_are_numbered() -> None:
    assert [sample.name[:3] for sample in SAMPLES] == [f"{number:02}-" for number in range(1, len(SAMPLES) + 1)]


@EACH
def test_the_study_has_the_sample_s_name(sample: Path) -> None:
    assert study(sample)["apiVersion"] == API_VERSION
    assert study(sample)["metadata"]["name"] == sample.stem[3:]


@EACH
def test_the_trainer_knows_every_parameter(sample: Path) -> None:
    spec = TuningStudySpec.model_validate(study(sample)["spec"])
    known = set(Parameters().as_dict())
    assert {hyperparameter.parameter_name for hyperparameter in spec.hyperparameters} <= known


@EACH
def test_its_pods_fit_beside_a_control_plane_on_two_cores(sample: Path) -> None:
    spec = study(sample)["spec"]
    (container,) = spec["trial"]["template"]["spec"]["containers"]
    pods = spec["budget"]["parallelTrials"] // spec["trial"].get("maxPacked", 1)
    requests = container["resources"]["requests"]
    assert 1 <= pods <= 2
    assert pods * parse_quantity(requests["cpu"]) <= parse_quantity("500m")
    assert pods * parse_quantity(requests["memory"]) <= parse_quantity("768Mi")


@EACH
def test_how_to_run_it_is_said_first(sample: Path) -> None:
    assert f"kubectl apply -f manifests/samples/{sample.name}" in sample.read_text().split("apiVersion")[0]


@EACH
def test_the_playbook_has_nothing_against_it_that_it_does_not_give_a_reason_for(sample: Path) -> None:
    record = StudyRecord(sample.stem, TuningStudySpec.model_validate(study(sample)["spec"]))
    assert [f.verdict for f in acknowledged(record, check(record)) if f.severity is not Severity.INFO] == []
