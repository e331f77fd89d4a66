"""`kubectl tuning analyze` and `next` on files: what programs get, and what people get."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hack.paths import ROOT
from tests.support.builders import a_range, a_study, merged
from tests.support.cli import a_line, kubectl_tuning, two_optimizers, written
from tuning_cli.problems import Warnings
from tuning_cli.reading.places import parse_yaml
from tuning_cli.reading.study_file import study_of

FINDING = {
    "code",
    "verdict",
    "severity",
    "rule",
    "parameter",
    "side",
    "scientific",
    "newLimit",
    "expression",
    "cut",
    "message",
    "evidence",
    "action",
}
CONCLUSION = {"state", "winner", "decision", "reason", "message", "difference", "uncertainty", "caveats"}
ONE_RATE = a_study(
    goal={"question": "Which learning rate is best?", "kind": "Minimise"},
    hyperparameters=[a_range(low=1e-4, high=0.01, scale="Log")],
    budget={"maxTrials": 16},
)


def rising_to_the_edge() -> list[dict[str, Any]]:
    """Return trials that are the better, the higher their learning rate is: the optimum lies outside."""
    rates = [10 ** (-4 + 2 * (i + 0.5) / 16) for i in range(16)]
    return [
        a_line(
            i,
            parameters={"learning_rate": rate},
            curve=[{"step": s, "validation_loss": 0.01 / rate**0.3 + 1 / s} for s in range(10, 310, 10)],
        )
        for i, rate in enumerate(rates)
    ]


def test_json_has_every_field_and_null_where_there_is_nothing(tmp_path: Path) -> None:
    answer = kubectl_tuning("analyze", *written(tmp_path, ONE_RATE, rising_to_the_edge()), "-o", "json")
    assert answer.code == 0
    found = answer.json
    assert set(found) >= {"findings", "conclusion", "nextStudy"}
    assert all(set(f) == FINDING for f in found["findings"])
    assert all(set(f["evidence"]) == {"numbers", "thresholds", "trials", "notes"} for f in found["findings"])
    assert set(found["conclusion"]) >= CONCLUSION
    assert {f["verdict"] for f in found["findings"]} >= {"Ok", "Unknown"}
    assert found["conclusion"]["winner"] is None
    edge = next(f for f in found["findings"] if f["verdict"] == "Expand")
    assert (edge["code"], edge["parameter"], edge["side"], edge["scientific"]) == (
        "SearchSpaceEdge",
        "learning_rate",
        "high",
        {},
    )
    assert edge["newLimit"] > 0.01
    assert edge["expression"] is None


def test_the_next_study_is_one_that_can_be_applied(tmp_path: Path) -> None:
    arguments = written(tmp_path, ONE_RATE, rising_to_the_edge())
    manifest = kubectl_tuning("analyze", *arguments, "-o", "json").json["nextStudy"]
    warnings = Warnings()
    study = study_of(parse_yaml(json.dumps(manifest, indent=1), "next.yaml"), warnings)
    assert not len(warnings)
    assert study.spec.hyperparameters[0].high is not None
    assert study.spec.hyperparameters[0].high > 0.01
    printed = kubectl_tuning("next", *arguments)
    assert printed.code == 0
    assert parse_yaml(printed.out, "next.yaml").data == manifest


def test_scientific_values_and_winners_stay_typed(tmp_path: Path) -> None:
    study = merged(
        ONE_RATE,
        {
            "spec": {
                "hyperparameters": [
                    a_range(low=1e-4, high=0.01, scale="Log"),
                    {"name": "augment", "type": "Categorical", "role": "Scientific", "values": ["true", "false"]}
                    | {"valueType": "Boolean"},
                ]
            }
        },
    )
    trials = [
        line | {"name": f"{line['name']}-{on}", "parameters": line["parameters"] | {"augment": on}}
        for line in rising_to_the_edge()
        for on in (True, False)
    ]
    found = kubectl_tuning("analyze", *written(tmp_path, study, trials), "-o", "json").json
    arms = [f["scientific"]["augment"] for f in found["findings"] if f["scientific"]]
    assert arms
    assert all(isinstance(value, bool) for value in arms)


def test_the_text_is_the_default_and_the_page_goes_to_a_file(tmp_path: Path) -> None:
    arguments = written(tmp_path, ONE_RATE, rising_to_the_edge())
    text = kubectl_tuning("analyze", *arguments)
    assert (text.code, "SearchSpaceEdge/Expand" in text.out) == (0, True)
    page = kubectl_tuning("analyze", *arguments, "-o", "html", "--output", tmp_path / "report.html")
    assert (page.code, page.out) == (0, "")
    assert page.errors == (f"wrote {tmp_path}/report.html",)
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    arguments = written(tmp_path, ONE_RATE, rising_to_the_edge())
    answer = kubectl_tuning("analyze", *arguments, "--output", tmp_path / "no" / "report.txt")
    assert (answer.code, answer.errors) == (
        1,
        (f"error: {tmp_path}/no/report.txt: cannot be written: No such file or directory",),
    )


def test_earlier_studies_come_first(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    earlier = written(folders[0], ONE_RATE, rising_to_the_edge())
    last = written(folders[1], two_optimizers(), [a_line(i) for i in range(4)])
    found = kubectl_tuning("analyze", *earlier, *last, "-o", "json")
    assert found.code == 0
    assert any(f["scientific"].get("optimizer") == "adamw" for f in found.json["findings"])


@pytest.mark.parametrize(
    ("keep", "said"),
    {
        "nothing": (0, "error: give --study STUDY.yaml and --trials TRIALS.jsonl, or --from a tool"),
        "a study alone": (2, "error: give --study STUDY.yaml and --trials TRIALS.jsonl, or --from a tool"),
    }.values(),
)
def test_what_is_missing_is_said(tmp_path: Path, keep: int, said: str) -> None:
    answer = kubectl_tuning("analyze", *written(tmp_path, ONE_RATE, [])[:keep])
    assert (answer.code, answer.errors) == (2, (said,))


def test_each_study_needs_its_trials(tmp_path: Path) -> None:
    study, path, _, trials = written(tmp_path, ONE_RATE, [])
    answer = kubectl_tuning("analyze", study, path, study, path, "--trials", trials)
    assert answer.errors == ("error: each --study needs its --trials, in the same order: there are 2 and 1",)


def test_a_study_without_trials_is_pending(tmp_path: Path) -> None:
    found = kubectl_tuning("analyze", *written(tmp_path, ONE_RATE, []), "-o", "json").json
    assert (found["conclusion"]["state"], found["conclusion"]["winner"]) == ("Pending", None)


def test_warnings_go_to_standard_error(tmp_path: Path) -> None:
    lines = [line | {"color": 1} for line in rising_to_the_edge()]
    answer = kubectl_tuning("analyze", *written(tmp_path, ONE_RATE, lines), "-o", "json")
    assert answer.json["conclusion"]
    assert answer.errors == (f"warning: {tmp_path}/trials.jsonl: color: is ignored: it is no field of a trial",)


def test_half_a_character_does_not_end_the_command(tmp_path: Path) -> None:
    lines = [line | {"message": "\ud83d"} for line in rising_to_the_edge()]
    for line in lines:
        line["name"] += "\ud83d"
    for output in ("json", "text", "html"):
        answer = kubectl_tuning("analyze", *written(tmp_path, ONE_RATE, lines), "-o", output)
        assert answer.code == 0


def test_kubectl_finds_the_command_as_its_plugin() -> None:
    script = ROOT / "bin" / "kubectl-tuning"
    said = subprocess.run([script, "--help"], capture_output=True, text=True, check=True, timeout=120).stdout
    assert all(command in said for command in ("analyze", "report", "next"))


def example(language: str, number: int) -> str:
    """Return a code block of docs/analyze.md."""
    blocks = (ROOT / "docs" / "analyze.md").read_text().split(f"```{language}\n")[1:]
    return blocks[number].split("```")[0]


def test_the_example_of_the_docs_works_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(example("yaml", 0))
    (tmp_path / "trials.jsonl").write_text(example("json", 0))
    (tmp_path / "trials.csv").write_text(example("csv", 0))
    for trials in ("trials.jsonl", "trials.csv"):
        answer = kubectl_tuning(
            "analyze", "--study", tmp_path / "study.yaml", "--trials", tmp_path / trials, "-o", "json"
        )
        assert (answer.code, answer.errors) == (0, ())
        assert answer.json["conclusion"]["state"] in ("Allowed", "Blocked", "Pending")
