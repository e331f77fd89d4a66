"""The names of what a trial's container exports to Prometheus, and of the labels that tell trials apart.

Step and values of one evaluation must be exported from one snapshot: samples of one scrape share a timestamp, and the
operator pairs them by it. A step is a value, never a label: a label would start a new series at each step.
"""

from typing import Final

TRIAL_STEP: Final = "tuning_trial_step"
TRIAL_OBJECTIVE: Final = "tuning_trial_objective"
TRIAL_METRIC_PREFIX: Final = "tuning_trial_"
TRIAL_INFO: Final = "tuning_trial_contract_info"

DEFAULT_PORT: Final = 8000
DEFAULT_PATH: Final = "/metrics"


LABEL_NAMESPACE: Final = "namespace"
LABEL_STUDY: Final = "study"
LABEL_STUDY_UID: Final = "study_uid"
LABEL_TRIAL: Final = "trial"
LABEL_ATTEMPT: Final = "attempt"
LABEL_POD: Final = "pod"
LABEL_PACK: Final = "pack"
"""Relabelling copies these from a trial's pod onto each of its series; the last one only a pod of several trials has.
Such a pod says itself, as labels `trial` and `attempt` of each series, which of its trials the series is of."""


def series_of(metric: str) -> str:
    """Return the Prometheus series of a metric that a reporter knows as `metric`.

    >>> series_of("validation_loss")
    'tuning_trial_validation_loss'
    """
    return TRIAL_METRIC_PREFIX + metric
