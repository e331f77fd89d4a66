"""The examples of training code of one's own: each has an image, and a study that nothing can be said against."""

from pathlib import Path

import pytest

from hack.paths import ROOT
from tuning_cli.problems import Warnings
from tuning_cli.reading.study_file import read_study
from tuning_operator.api.findings import Severity
from tuning_operator.playbook.acknowledged import acknowledged
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.specification import check

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/train.py"))
EACH = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)


def test_there_are_some() -> None:
    assert [example.name for example in EXAMPLES] == ["lightning", "pytorch"]


@EACH
def test_the_api_server_and_the_playbook_have_nothing_against_its_study(example: Path) -> None:
    study = read_study(example / "study.yaml", Warnings())
    record = StudyRecord(study.name, study.spec)
    assert [f.verdict for f in acknowledged(record, check(record)) if f.severity is not Severity.INFO] == []


@EACH
@pytest.mark.parametrize(
    ("file", "command"),
    [("study.yaml", "kubectl apply -f examples/{}/study.yaml"), ("Dockerfile", "examples/{}/Dockerfile")],
)
def test_each_file_says_first_what_to_do_with_it(example: Path, file: str, command: str) -> None:
    comment = (example / file).read_text().partition("\n\n" if file == "Dockerfile" else "apiVersion")[0]
    assert command.format(example.name) in comment
