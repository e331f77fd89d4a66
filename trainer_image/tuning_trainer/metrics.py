"""What the trainer measures at each evaluation.

Losses are means over a whole split or its sample, without dropout and label smoothing, so that training and validation
can be compared with each other and between trials whose regularisation differs.
"""

from typing import Final

from tuning_contract import diagnostics
from tuning_trainer.knobs import ConfigurationError

METRICS: Final = {
    diagnostics.TRAIN_LOSS: "Mean loss over the training split: cross-entropy in nats, or squared error",
    "train_error": "Misclassified fraction of the training split; not in `regression`",
    "validation_loss": "Mean loss over the validation split",
    "validation_error": "Misclassified fraction of the validation split; not in `regression`",
    diagnostics.LEARNING_RATE: "Learning rate of the latest step",
    diagnostics.GRAD_NORM: "L2 norm of the whole gradient at the latest step, before clipping",
    diagnostics.CLIPPED_FRACTION: "Of the steps since the last evaluation, the fraction whose gradient was clipped",
    "update_norm": "L2 norm of what the latest step changed in all weights together",
    diagnostics.EXAMPLES_PER_SECOND: "Training examples a second since the last evaluation; "
    "pauses and evaluations left out",
    "steps_per_second": "Steps a second, likewise",
    diagnostics.DATA_WAIT_FRACTION: "Share of that time in which a step waited for its examples",
    "peak_memory_bytes": "Most memory so far: of the GPU where there is one, else of the process",
}
CLASSIFICATION_METRICS: Final = ("train_error", "validation_error")
DEFAULT_OBJECTIVE: Final = "validation_loss"


def require_metric(name: str, *, classification: bool = True) -> None:
    """Refuse a metric that the study needs, for its objective or a constraint, and the trainer does not measure.

    Raises:
        ConfigurationError: with the list of the metrics that there are.
    """
    known = [metric for metric in METRICS if classification or metric not in CLASSIFICATION_METRICS]
    if name not in known:
        listed = ", ".join(known)
        raise ConfigurationError(f"the study's metric {name!r:.60} is not measured here. Known metrics: {listed}")


def metrics_table() -> str:
    """Return the Markdown table of all metrics, as it stands in docs/trainer.md."""
    return "\n".join(
        ["| Metric | Meaning |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in METRICS.items())]
    )
