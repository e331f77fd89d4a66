"""What the demo shows at its end."""

import io
from typing import Any

from rich.console import Console

from hack.demo.view import result


def shown(**status: Any) -> str:
    study = {
        "metadata": {"namespace": "default", "name": "first-study"},
        "spec": {
            "goal": {"question": "Which rate?"},
            "objective": {"metric": "validation_loss"},
            "hyperparameters": [{"name": "learning_rate", "role": "Nuisance"}],
        },
        "status": {"state": "Succeeded", "progress": "8/8", **status},
    }
    trial = {
        "metadata": {"name": "first-study-0a1b2c3d-probe-0"},
        "spec": {"index": 0, "purpose": "InstabilityProbe", "assignments": [{"name": "learning_rate", "value": "0.5"}]},
        "status": {"state": "Infeasible"},
    }
    text = io.StringIO()
    Console(file=text, width=120).print(result(study, [trial]))
    return text.getvalue()


def test_the_conclusion_stands_there_with_what_was_found_and_what_follows() -> None:
    text = shown(
        conclusion={"state": "Blocked", "reason": "Expand", "message": "The best trials lie at an edge."},
        findings=[{"code": "SearchSpaceEdge", "verdict": "Expand", "severity": "Block", "message": "At 98 %."}],
        nextStudy={"name": "first-study-r2", "reasons": ["learning_rate: widened."], "applied": True},
    )
    assert "Conclusion: Blocked, Expand" in text
    assert "Block: SearchSpaceEdge Expand. At 98 %." in text
    assert "Next study: first-study-r2 follows" in text
    assert "learning_rate: widened." in text


def test_a_study_that_was_not_analysed_shows_its_trials_all_the_same() -> None:
    text = shown()
    assert "Conclusion" not in text
    assert "InstabilityProbe 0" in text
