"""The report: everything that a reader needs, in one file that needs nothing else."""

import json
import re

import pytest
from plotly.offline import get_plotlyjs

from tests.support.builders import a_study
from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_cli.report.contents import Report, report_of
from tuning_cli.report.page import figures_of, html_report
from tuning_cli.report.text import text_report
from tuning_contract.diagnostics import Diagnostics, LogHistogram
from tuning_operator.api.findings import (
    AdoptionDecision,
    Code,
    Conclusion,
    ConclusionState,
    Evidence,
    Finding,
    Severity,
    Side,
    ThresholdUsed,
)
from tuning_operator.api.study_status import NextStudyProposal
from tuning_operator.playbook.analysis import Analysis
from tuning_operator.playbook.records import Purpose, State, StudyRecord

HOSTILE = "<script>alert('x')</script>&\"</pre>"
SPEC = spec_of(
    [
        {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["adamw", "nesterov"]},
        LEARNING_RATE,
        {"name": "momentum", "type": "Float", "role": "Nuisance", "low": 0.5, "high": 0.99, "scale": "ReverseLog"},
        {"name": "width", "type": "Ordinal", "role": "Nuisance", "values": ["64", "128"], "valueType": "Integer"},
        {"name": "depth", "type": "Integer", "role": "Fixed", "value": "4", "fixedReason": "it never mattered"},
    ],
    goal={"question": "Does AdamW win?", "kind": "TryChange"},
)
EDGE = Finding(
    code=Code.SEARCH_SPACE_EDGE,
    verdict="Expand",
    severity=Severity.BLOCK,
    rule="BND-4",
    parameter="learning_rate",
    side=Side.HIGH,
    scientific={"optimizer": "nesterov"},
    new_limit=10.0,
    message="The best trials lie at the high edge.",
    action="Widen learning_rate to 10.",
    evidence=Evidence(
        numbers={"position": 0.96},
        thresholds=[ThresholdUsed(name="edgeBand", value=0.1, origin="Default")],
        trials=["t-1"],
    ),
)
PASSED = Finding(
    code=Code.OVERFITTING, verdict="Ok", severity=Severity.INFO, rule="CRV-4", message="No best trial does."
)
UNKNOWN = Finding(
    code=Code.CLIPPING, verdict="Unknown", severity=Severity.INFO, rule="CLP-5", action="Report grad_norm."
)


def a_record(trials: int = 12) -> StudyRecord:
    """Return a study of two optimizers with curves, infeasible, failed, lost and stopped trials."""
    norms = Diagnostics(grad_norm_histogram=LogHistogram.of([0.5, 1.0, 2.0]))
    found = []
    for i in range(trials):
        parameters = {
            "optimizer": ("adamw", "nesterov")[i % 2],
            "learning_rate": 10 ** (-4 * ((i * 0.618) % 1)),
            "momentum": 0.5 + 0.4 * ((i * 0.414) % 1),
            "width": (64, 128)[i % 3 % 2],
        }
        curve = [1.0 / (step + 1) + 0.1 * i for step in range(6)]
        state = {7: State.FAILED, 8: State.LOST, 9: State.INFEASIBLE, 10: State.STOPPED}.get(i, State.SUCCEEDED)
        found.append(
            trial_of(SPEC, i, parameters, curve=curve, train=curve, state=state, diagnostics=norms, reason="", seed=i)
        )
    return study_of(SPEC, found)


def a_conclusion(**fields: object) -> Conclusion:
    valid = {"state": ConclusionState.ALLOWED, "reason": "Better", "winner": {"optimizer": "nesterov"}}
    return Conclusion.model_validate(valid | fields)


def a_report(*findings: Finding, study: StudyRecord | None = None, **fields: object) -> Report:
    proposal = NextStudyProposal(
        name="next", goal="Look further.", reasons=["learning_rate: wider"], manifest=a_study("next")
    )
    found = Analysis(findings or (EDGE, PASSED, UNKNOWN), a_conclusion(**fields), proposal)
    return report_of(study or a_record(), found)


def outside_of_plotly(page: str) -> str:
    return page.replace(get_plotlyjs(), "")


def test_the_page_has_everything_that_a_reader_needs() -> None:
    page = outside_of_plotly(
        html_report(
            a_report(message="Nesterov is better.", caveats=["Only on digits."], decision=AdoptionDecision.ADOPT)
        )
    )
    for part in (
        "Does AdamW win?",
        "Allowed",
        "Nesterov is better.",
        "Only on digits.",
        "optimizer=nesterov",
        "SearchSpaceEdge",
        "The best trials lie at the high edge.",
        "Widen learning_rate to 10.",
        "position = 0.96",
        "edgeBand = 0.1 (Default)",
        "No best trial does.",
        "Report grad_norm.",
        "1 passed, 1 with something to say, 1 unknown",
        "depth was 4 throughout (it never mattered): nothing is known of other values.",
        "learning_rate was searched from 0.0001 to 1, and not beyond.",
        "Recipe of the winner",
        "learning_rate: wider",
        "kind: TuningStudy",
    ):
        assert part in page, part
    assert all(f'<td class="fixed">t-{i}</td>' in page for i in range(12))


def test_the_page_needs_no_network() -> None:
    page = outside_of_plotly(html_report(a_report()))
    assert "http://" not in page
    assert "https://" not in page
    assert not re.search(r"<(link|iframe|img|script src)", page)
    assert "default-src 'none'" in page


def test_the_page_is_readable_in_the_dark_and_on_paper() -> None:
    page = outside_of_plotly(html_report(a_report()))
    assert "@media (prefers-color-scheme: dark)" in page
    assert "@media print" in page
    assert "beforeprint" in page


def test_what_users_write_is_text_and_never_markup() -> None:
    spec = SPEC.model_copy(update={"goal": SPEC.goal.model_copy(update={"question": HOSTILE}) if SPEC.goal else None})
    trials = [
        trial_of(spec, i, {"optimizer": "adamw", "learning_rate": 0.1, "momentum": 0.6, "width": 64}, curve=[2.0, 1.0])
        for i in range(3)
    ]
    hostile = study_of(
        spec, [t.__class__(**{**vars(t), "name": f"{HOSTILE}{i}"}) for i, t in enumerate(trials)], HOSTILE
    )
    finding = EDGE.model_copy(update={"message": HOSTILE, "action": HOSTILE})
    page = outside_of_plotly(html_report(a_report(finding, study=hostile, message=HOSTILE, caveats=[HOSTILE])))
    assert "<script>alert" not in page
    assert "</pre>&" not in page
    assert "&lt;script&gt;alert" in page
    names = [json.loads(f.figure) for f in figures_of(a_report(study=hostile)) if f.id == "curves"]
    # Plotly reads some HTML in its labels.
    assert "<script>" not in json.dumps(names)


def test_each_picture_is_drawn_once_beside_the_finding_that_it_shows() -> None:
    page = outside_of_plotly(html_report(a_report()))
    data = json.loads(re.search(r'id="figure-data">(.*?)</script>', page, re.S).group(1))  # type: ignore[union-attr]
    places = re.findall(r'data-figure="([^"]+)"', page)
    assert sorted(places) == sorted(set(places)) == sorted(data)
    assert set(data) >= {
        "isolation-0",
        "axis-learning_rate",
        "axis-momentum",
        "axis-width",
        "curves",
        "all-curves",
        "parallel-coordinates",
        "best-so-far",
        "luck",
        "best-steps",
        "gradient-norms",
    }
    article = page[page.index("<article") : page.index("</article>")]
    assert 'data-figure="axis-learning_rate"' in article


def test_the_pictures_of_the_question_come_first_once_a_conclusion_is_allowed() -> None:
    allowed = outside_of_plotly(html_report(a_report()))
    blocked = outside_of_plotly(html_report(a_report(state="Blocked", winner=None)))
    first = 'data-figure="isolation-0"'
    assert allowed.index(first) < allowed.index('<section id="findings">')
    assert blocked.index(first) > blocked.index('<section id="findings">')


def test_the_study_has_its_row_for_a_table_of_studies() -> None:
    name, question, conclusion, trials, best, command = a_report().ledger
    assert (name, question, conclusion, trials, best) == (
        "study",
        "Does AdamW win?",
        "Allowed: Better",
        "12",
        "0.166667",
    )
    assert command.startswith("docker run")


def test_the_edge_that_should_move_is_drawn() -> None:
    figure = next(json.loads(f.figure) for f in figures_of(a_report()) if f.id == "axis-learning_rate")
    assert [a["text"] for a in figure["layout"]["annotations"]] == ["widen to 10"]
    assert {shape["x0"] for shape in figure["layout"]["shapes"]} >= {1e-4, 1.0, 10.0}
    assert figure["layout"]["xaxis"]["type"] == "log"


def test_infeasible_trials_lie_on_the_rim_of_the_worse_side() -> None:
    figure = next(json.loads(f.figure) for f in figures_of(a_report()) if f.id == "axis-learning_rate")
    results = [y for t in figure["data"] if "infeasible" not in t["name"] for y in t["y"]]
    rim = [y for t in figure["data"] if "infeasible" in t["name"] for y in t["y"]]
    assert len(rim) == 1
    assert rim[0] > max(results)


def test_a_study_without_trials_has_a_report_too() -> None:
    empty = report_of(study_of(SPEC), Analysis((), a_conclusion(state="Pending", winner=None, reason="NoData"), None))
    page = outside_of_plotly(html_report(empty))
    assert "No trial has a result." in page
    assert "Nothing is proposed." in page
    assert "optimizer=adamw has no trial." in page
    assert "NoData" in text_report(empty)


def test_a_study_without_a_goal_says_so() -> None:
    spec = spec_of()
    found = report_of(study_of(spec), Analysis((), a_conclusion(winner=None), None))
    assert "The study states no goal." in html_report(found)


def test_the_recipe_is_the_best_trial_of_the_winner_and_not_of_the_study() -> None:
    recipe = a_report().recipe
    assert recipe is not None
    assert (recipe.trial, recipe.is_conclusion) == ("t-1", True)
    assert json.loads(recipe.parameters)["optimizer"] == "nesterov"
    assert "TUNING_SEED=1" in recipe.command
    assert recipe.command.startswith("docker run --rm -e 'TUNING_PARAMETERS={")


def test_without_a_winner_the_best_trial_is_no_conclusion() -> None:
    recipe = a_report(winner=None, state="Blocked").recipe
    assert recipe is not None
    assert (recipe.trial, recipe.is_conclusion) == ("t-0", False)


def test_the_table_has_every_trial_the_best_first_and_results_only_where_there_are_some() -> None:
    rows = a_report().rows
    assert [r.trial for r in rows[:3]] == ["t-0", "t-1", "t-2"]
    assert len(rows) == 12
    assert {r.trial for r in rows if r.value is None} == {"t-7", "t-8", "t-9"}
    assert rows[0].is_best


def test_what_was_not_tested_is_said() -> None:
    said = a_report().not_tested
    assert "width had the values 64, 128, and no others." in said
    assert "Lost to the infrastructure: 1 of 12 trials, which do not count." in said
    assert any("luck of single runs" in line for line in said)
    retrained = study_of(
        SPEC,
        [
            trial_of(
                SPEC,
                0,
                {"optimizer": "adamw", "learning_rate": 0.1, "momentum": 0.6, "width": 64},
                1.0,
                purpose=Purpose.RETRAIN,
            )
        ],
    )
    assert not any("luck of single runs" in line for line in a_report(study=retrained).not_tested)


def test_the_text_has_the_same() -> None:
    text = text_report(a_report(message="Nesterov is better."))
    for part in (
        "Does AdamW win?",
        "Allowed",
        "Nesterov is better.",
        "SearchSpaceEdge/Expand",
        "→ Widen",
        "Overfitting",
    ):
        assert part in text, part
    assert "kind: TuningStudy" in text
    assert "\x1b" not in text
    assert "\x1b" in text_report(a_report(), colour=True)


def test_the_text_takes_users_words_as_they_are() -> None:
    finding = EDGE.model_copy(update={"message": "[bold]not markup[/bold] :smile:"})
    assert "[bold]not markup[/bold] :smile:" in text_report(a_report(finding))


def test_the_next_study_in_the_text_can_be_copied() -> None:
    manifest = a_study("next", goal={"question": "Is this " + "very " * 60 + "long?"})
    proposal = NextStudyProposal(name="next", goal="More.", manifest=manifest)
    found = report_of(a_record(), Analysis((), a_conclusion(), proposal))
    assert found.next_yaml is not None
    assert found.next_yaml in text_report(found, width=60)


@pytest.mark.parametrize("direction", ["Minimize", "Maximize"])
def test_either_direction_can_be_drawn(direction: str) -> None:
    spec = spec_of(objective={"metric": "accuracy", "direction": direction})
    states = [State.SUCCEEDED] * 5 + [State.INFEASIBLE]
    trials = [trial_of(spec, i, {"learning_rate": 0.1}, 0.1 * i, state=s) for i, s in enumerate(states)]
    found = report_of(study_of(spec, trials), Analysis((), a_conclusion(winner=None), None))
    figure = next(json.loads(f.figure) for f in figures_of(found) if f.id == "axis-learning_rate")
    rim = next(t["y"][0] for t in figure["data"] if "infeasible" in t["name"])
    assert (rim > 0.4) if direction == "Minimize" else (rim < 0.0)
