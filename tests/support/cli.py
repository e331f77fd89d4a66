"""`kubectl tuning` in a test: files of a study and its trials, and what the command says to them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tests.support.builders import a_choice, a_range, a_study
from tuning_cli.app import app

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """What a command has answered."""

    code: int
    out: str
    errors: tuple[str, ...]
    """The lines on standard error."""

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


def kubectl_tuning(*arguments: object) -> Said:
    """Run a command; an exception that reaches the user fails the test."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    return Said(result.exit_code, result.stdout, tuple(result.stderr.splitlines()))


def two_optimizers(**spec: Any) -> Manifest:
    """Return a study that compares two optimizers, each with a learning rate of its own."""
    hyperparameters = [
        a_choice(),
        *(
            a_range(
                f"{optimizer}_learning_rate",
                parameter="learning_rate",
                low=1e-4,
                high=1.0,
                scale="Log",
                when={"name": "optimizer", "values": [optimizer]},
            )
            for optimizer in ("adamw", "nesterov")
        ),
        {"name": "batch_size", "type": "Integer", "role": "Fixed", "value": "64"},
    ]
    return a_study(hyperparameters=hyperparameters, **spec)


def a_line(number: int = 0, **fields: Any) -> Manifest:
    """Return a trial as trials.jsonl has it; None removes a field."""
    valid = {
        "name": f"t-{number}",
        "parameters": {"optimizer": ("adamw", "nesterov")[number % 2], "learning_rate": 0.001 * 2**number},
        "state": "Succeeded",
        "curve": [{"step": s, "train_loss": 1 / s, "validation_loss": 0.1 * number + 2 / s} for s in (10, 20, 30)],
    }
    return {name: value for name, value in {**valid, **fields}.items() if value is not None}


def written(folder: Path, study: Mapping[str, Any], trials: Sequence[Any] | str) -> tuple[str, str, str, str]:
    """Write a study and its trials, and return the arguments that name them."""
    (folder / "study.yaml").write_text(json.dumps(study, indent=1))
    text = trials if isinstance(trials, str) else "".join(json.dumps(trial) + "\n" for trial in trials)
    (folder / "trials.jsonl").write_text(text)
    return "--study", str(folder / "study.yaml"), "--trials", str(folder / "trials.jsonl")
