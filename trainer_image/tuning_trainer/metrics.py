"""What the trainer measures at each evaluation.

Both losses are mean cross-entropies in nats over a whole split, without dropout and label smoothing, so that training
and validation can be compared with each other and between trials whose regularisation differs.
"""

from typing import Final

from tuning_trainer.parameters import ConfigurationError

METRICS: Final = {
    "train_loss": "Mean cross-entropy over the training split, in nats",
    "train_error": "Fraction of the training split that is misclassified",
    "validation_loss": "Mean cross-entropy over the validation split, in nats",
    "validation_error": "Fraction of the validation split that is misclassified",
    "learning_rate": "Learning rate of the latest step",
    "gradient_norm": "L2 norm of the whole gradient at the latest step, before clipping",
    "examples_per_second": "Training examples a second since the last evaluation; pauses and evaluations left out",
}
DEFAULT_OBJECTIVE: Final = "validation_loss"


def require_metric(name: str) -> None:
    """Refuse a metric that the study needs, for its objective or a constraint, and the trainer does not measure.

    Raises:
        ConfigurationError: with the list of the metrics that there are.
    """
    if name not in METRICS:
        raise ConfigurationError(
            f"the study's metric {name!r:.60} is not measured here. Known metrics: {', '.join(METRICS)}"
        )


def metrics_table() -> str:
    """Return the Markdown table of all metrics, as it stands in the README."""
    return "\n".join(
        ["| Metric | Meaning |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in METRICS.items())]
    )
