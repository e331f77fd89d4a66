"""study.yaml: what the API server would refuse is refused here, in its words, with the line."""

import json
from pathlib import Path
from typing import Any

import pytest

from hack.paths import ROOT
from tests.cluster.api.test_rejected import REJECTED
from tests.support.builders import Manifest, a_choice, a_range, a_study
from tuning_cli.problems import InputError, Warnings
from tuning_cli.reading.places import parse_yaml
from tuning_cli.reading.study_file import StudyFile, read_study, study_of

SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
OWN_WORDS = {
    "a point of numbers": "spec.search.points[0].learning_rate: must be a text, not 0.1: put it in quotes",
    "too many at once": "spec.budget.parallelTrials: must be less than or equal to 1000, not 1001",
    "none at once": "spec.budget.parallelTrials: must be greater than or equal to 1, not 0",
    "a name with a dash": (
        'spec.hyperparameters[0].name: must match pattern "^[a-zA-Z_][a-zA-Z0-9_]*$", not "learning-rate"'
    ),
    "an unknown type": (
        'spec.hyperparameters[0].type: must be "Float", "Integer", "Categorical" or "Ordinal", not "Double"'
    ),
    "a single batch size": "spec.training.batchSizes: must have at least 2 items, not [32]",
}
"""Where the API server's words say less to somebody who edits a file."""


def read(text: str, warnings: Warnings | None = None) -> StudyFile:
    return study_of(parse_yaml(text, "study.yaml"), warnings if warnings is not None else Warnings())


def problems(manifest: Any) -> list[str]:
    """Return what is wrong with a manifest, without the lines."""
    with pytest.raises(InputError) as caught:
        read(json.dumps(manifest, indent=1))
    return [f"{each.field}: {each.message}" for each in caught.value.problems]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_is_read(sample: Path) -> None:
    warnings = Warnings()
    assert read_study(sample, warnings).spec.hyperparameters
    assert not len(warnings)


@pytest.mark.parametrize(("study", "answer"), REJECTED.values(), ids=REJECTED.keys())
def test_what_the_api_server_refuses_is_refused_in_its_words(study: Manifest, answer: str) -> None:
    found = problems(study)
    name = next(key for key, value in REJECTED.items() if value == (study, answer))
    if "Duplicate value" in answer:
        assert any(answer.startswith(f.split(": ")[0]) and f.endswith("is there twice") for f in found), found
    elif name in OWN_WORDS:
        assert OWN_WORDS[name] in found
    else:
        # The API server says: field, kind of error, and the rule's message.
        assert any(answer.startswith(f.split(": ")[0]) and answer.endswith(f.split(": ", 1)[1]) for f in found), found


def test_the_line_of_the_culprit_is_named() -> None:
    text = """\
spec:
  objective: {metric: loss}
  hyperparameters:
  - name: learning_rate
    type: Float
    role: Nuisance
    low: 1e-1
    high: 1e-4
  budget: {maxTrials: 8}
"""
    with pytest.raises(InputError) as caught:
        read(text)
    assert str(caught.value) == (
        "study.yaml:8: spec.hyperparameters[0].high: learning_rate: low must be smaller than high; for a single value "
        "use role Fixed with value"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    {
        "no mapping": ("- 1\n", "study.yaml:1: must be a TuningStudy, not [1]"),
        "empty": ("", "study.yaml: holds 0 documents and must hold one"),
        "no YAML": ("a: [1\nb: 2\n", "study.yaml:2: is no YAML: expected ',' or ']', but got ':'"),
        "a tab": ("\ta: 1\n", "study.yaml:1: is no YAML: found character '\\t' that cannot start any token"),
        "a field twice": (
            "spec: {}\nspec: {}\n",
            'study.yaml:2: is no YAML: found duplicate key "spec" with value "{}" (original value: "{}")',
        ),
        "another kind": ("kind: Pod\n", 'study.yaml:1: kind: must be TuningStudy, not "Pod"'),
        "another version": (
            "apiVersion: v1\n",
            'study.yaml:1: apiVersion: must be tuning-operator.dev/v1alpha1, not "v1"',
        ),
        "no spec": ("kind: TuningStudy\n", "study.yaml:1: spec: is missing"),
        "a spec that is none": ("spec: 1\n", "study.yaml:1: spec: must be an object"),
        "an object of Python's": (
            "a: !!python/object:os.system x\n",
            "study.yaml:1: is no YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object:os.system'",
        ),
        "itself": ("&a [*a]\n", "study.yaml: is too large for a manifest, or contains itself"),
    }.values(),
)
def test_what_is_no_study_is_told_in_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert str(caught.value) == said


def test_yaml_is_read_as_1_2() -> None:
    study = a_study(hyperparameters=[a_choice("augment", values=["on", "off"])])
    text = json.dumps(study).replace('"on"', "on").replace('"off"', "off")
    assert read(text).spec.hyperparameters[0].values == ["on", "off"]
    low = json.dumps(a_study(hyperparameters=[a_range(low=1.5, high=2.0)])).replace("1.5", "1e-4")
    assert read(low).spec.hyperparameters[0].low == 1e-4


def test_numbers_are_not_taken_for_texts_nor_texts_for_numbers() -> None:
    assert problems(a_study(hyperparameters=[a_range(low="0.1", high=1.0)])) == [
        'spec.hyperparameters[0].low: must be a number, not "0.1"'
    ]
    assert problems(a_study(hyperparameters=[a_choice(values=[32, "64"])])) == [
        "spec.hyperparameters[0].values[0]: must be a text, not 32: put it in quotes"
    ]


def test_unknown_fields_are_named_and_ignored() -> None:
    warnings = Warnings()
    study = a_study(hyperparameters=[a_range(lower=0.1)], metrics={"port": 8000, "pth": "/"})
    read(json.dumps(study), warnings)
    assert [w.split(": ", 1)[1] for w in warnings] == [
        "spec.hyperparameters[0].lower: is no field of a TuningStudy and is ignored",
        "spec.metrics.pth: is no field of a TuningStudy and is ignored",
    ]


def test_pods_and_metadata_may_hold_what_they_like() -> None:
    warnings = Warnings()
    study = a_study(trial={"template": {"spec": {"containers": [{"name": "t"}], "nodeSelector": {"gpu": "yes"}}}})
    study["metadata"] |= {"annotations": {"a": "b"}, "uid": "1"}
    read(json.dumps(study), warnings)
    assert not len(warnings)


def test_a_study_without_a_cluster_needs_no_template() -> None:
    warnings = Warnings()
    found = read(json.dumps(a_study(trial=None)), warnings)
    assert found.spec.trial.template.spec == {"containers": [{"name": "trainer"}]}
    assert ["spec.trial: is missing" in w for w in warnings] == [True]


def test_what_the_operator_would_not_accept_is_refused() -> None:
    study = a_study(trial={"container": "other"})
    assert problems(study) == ["spec: spec.trial.container is other; the template has trainer"]


def test_a_stopping_rule_that_could_not_run_hinders_no_analysis() -> None:
    warnings = Warnings()
    study = read(json.dumps(a_study(stopping={"rule": "Median"}), indent=1), warnings)
    assert study.spec.stopping.rule == "Median"
    assert len(warnings) == 1


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.yaml: cannot be read: No such file or directory"):
        read_study(tmp_path / "nothing.yaml", Warnings())
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"is no UTF-8 text"):
        read_study(tmp_path / "binary.yaml", Warnings())
