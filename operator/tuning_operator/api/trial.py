"""TuningTrial: one point of a study's search space, drawn once, trained once, with its result."""

import math
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from tuning_operator.api.base import Condition, Model, Time
from tuning_operator.api.hyperparameters import MAX_HYPERPARAMETERS
from tuning_operator.api.rules import Reason, Rule, validated_by
from tuning_operator.api.search import Algorithm
from tuning_operator.api.study import ObjectiveAt
from tuning_operator.api.study_status import ParameterAssignment

Uid = Annotated[str, Field(max_length=63)]

SPEC_RULES = (Rule("self == oldSelf", "a trial is written once: change the study instead", reason=Reason.FORBIDDEN),)


class TrialPurpose(StrEnum):
    """Why a trial runs."""

    SEARCH = "Search"
    REPLICATE = "Replicate"
    RETRAIN = "Retrain"
    INSTABILITY_PROBE = "InstabilityProbe"
    HIDDEN_INSTABILITY_PROBE = "HiddenInstabilityProbe"
    BATCH_SIZE_PROBE = "BatchSizeProbe"

    @property
    def is_search(self) -> bool:
        """Whether it is one of the search's trials, and does not repeat or probe one of them afterwards."""
        return self in (TrialPurpose.SEARCH, TrialPurpose.REPLICATE)

    @property
    def is_probe(self) -> bool:
        """Whether it measures something else than how good its parameters are."""
        return not self.is_search and self is not TrialPurpose.RETRAIN


class StudyRef(Model):
    """The study that a trial belongs to."""

    name: str = Field(description="The TuningStudy's name.", max_length=253)
    uid: str = Field(
        description="Its uid: a study re-created under the same name has none of the old one's trials.", max_length=63
    )


class TuningTrialSpec(Model):
    """What is trained. Written once by the operator, before the trial's Job exists; never changed."""

    model_config = ConfigDict(json_schema_extra=validated_by(*SPEC_RULES))

    study_ref: StudyRef = Field(description="The study that this trial belongs to.")
    purpose: TrialPurpose = Field(
        TrialPurpose.SEARCH,
        description="Why this trial runs. Search: a new point. Replicate: the point of the trial before it, once more, "
        "with another seed. Retrain: a trial of the search once more, with another seed, to decide on a change. "
        "InstabilityProbe and HiddenInstabilityProbe: a trial of the search at a higher learning rate, to see whether "
        "training is unstable there; the latter only as long as the first steps take. BatchSizeProbe: a trial of the "
        "search at another batch size, to measure the throughput.",
    )
    of: str | None = Field(None, description="The trial that this one retrains or probes.", max_length=63)
    index: int = Field(
        description="The trial's number in the study: arm + position * arms. Of a retrain or a probe: its number among "
        "the retrains or the probes.",
        ge=0,
    )
    arm: int = Field(0, description="The number of the combination of scientific values.", ge=0)
    position: int = Field(
        description="The trial's place in its arm's sequence; replicates of one point follow each other.", ge=0
    )
    assignments: list[ParameterAssignment] = Field(
        description="The hyperparameters that exist in this trial, by name, as text.",
        max_length=MAX_HYPERPARAMETERS,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    parameters: str = Field(description="The exact JSON text that the container receives.", max_length=16384)
    parameters_hash: str = Field(
        description="SHA-256 of that text; the container's record must carry it.", max_length=64
    )
    seed: int = Field(description="The root of the trial's own randomness.", ge=0, le=2**31 - 1)
    suggested_by: Algorithm | None = Field(
        None, description="The algorithm that drew the point; List: one of the study's own points."
    )
    suggestion_note: str | None = Field(
        None, description="Why it was another algorithm than the study's.", max_length=256
    )


class TrialState(StrEnum):
    """Where a trial stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    INFEASIBLE = "Infeasible"
    FAILED = "Failed"
    STOPPED = "Stopped"
    PAUSED = "Paused"

    @property
    def is_held(self) -> bool:
        """Whether the trial has no pod on purpose, and may go on later."""
        return self in (TrialState.SUSPENDED, TrialState.PAUSED)

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to the trial."""
        return self in (TrialState.SUCCEEDED, TrialState.INFEASIBLE, TrialState.FAILED, TrialState.STOPPED)

    @property
    def has_result(self) -> bool:
        """Whether the trial has come to a result of its own: infeasible is one about the search space."""
        return self in (TrialState.SUCCEEDED, TrialState.INFEASIBLE)


class ResultSource(StrEnum):
    """Where a result was read."""

    RECORD = "Record"
    PROMETHEUS = "Prometheus"


class NonFinite(StrEnum):
    """A value that JSON cannot hold."""

    NAN = "NaN"
    INFINITY = "Infinity"
    MINUS_INFINITY = "-Infinity"


class Measurement(Model):
    """The objective at one evaluation: `value`, or `nonFinite` in its place."""

    value: float | None = Field(None, description="The value, where it is finite.")
    non_finite: NonFinite | None = Field(
        None, description="The value, where it is not finite: NaN, Infinity or -Infinity."
    )
    step: int | None = Field(None, description="The training step, where known.", ge=0)


class MetricValue(Model):
    """A further metric of a trial: `value`, or `nonFinite` in its place."""

    metric: str = Field(description="The metric's name.", max_length=63)
    at: ObjectiveAt = Field(description="Which evaluation it was taken at: Best is where the objective is best.")
    value: float | None = Field(None, description="The value, where it is finite.")
    non_finite: NonFinite | None = Field(
        None, description="The value, where it is not finite: NaN, Infinity or -Infinity."
    )

    @property
    def number(self) -> float:
        """The value, whether it is finite or not."""
        if self.non_finite is not None:
            return float(self.non_finite.value)
        return math.nan if self.value is None else self.value


class TrialResult(Model):
    """What came of a trial."""

    value: float | None = Field(None, description="The objective as the study counts it, where it is finite.")
    non_finite: NonFinite | None = Field(None, description="The objective, where it is not finite.")
    display: str = Field(
        "", description="The objective in six digits, or NaN, Infinity, -Infinity; for people.", max_length=32
    )
    step: int | None = Field(None, description="The training step at which it was measured, where known.", ge=0)
    best: Measurement | None = Field(None, description="The best finite evaluation.")
    last: Measurement | None = Field(None, description="The last evaluation.")
    late_median: Measurement | None = Field(None, description="The median over the last tenth of the evaluations.")
    curve: str | None = Field(
        None,
        description='The evaluations as JSON {"columns": ["step", "<objective>", …], "rows": [[step, value, …], …]}, '
        "as many metrics and rows as fit. Values that are not finite are NaN, Infinity or -Infinity as strings; null: "
        "not measured there.",
        max_length=4096,
    )
    diagnostics: str | None = Field(
        None,
        description="What else the trial measured, as JSON: gradNormHistogram, denseLoss, fullEvaluation and the "
        "others that the Playbook's rules look at, as far as they fit.",
        max_length=4096,
    )
    metrics: list[MetricValue] = Field(
        default_factory=list,
        description="The further metrics that the study needs: those of its constraints and its second objective.",
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["metric", "at"]},
    )
    violations: list[Annotated[str, Field(max_length=63)]] = Field(
        default_factory=list,
        description="The metrics of the constraints that the trial violates: it is a result, and never the best.",
        max_length=4,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    source: ResultSource = Field(
        description="Record: exact, from the final record. Prometheus: the last sample scraped, perhaps one "
        "interval old."
    )
    sample_age_seconds: float | None = Field(
        None, description="How old the last sample was when the trial ended; only with source Prometheus.", ge=0
    )

    def measured(self, metric: str, at: ObjectiveAt) -> float | None:
        """Return a further metric's value; None where it was not measured."""
        return next((m.number for m in self.metrics if (m.metric, m.at) == (metric, at)), None)


class StopRecord(Model):
    """Why the stopping rule ended a trial, as it was decided: it stays, whatever the other trials come to."""

    rule: str = Field(description="The rule, such as Median.", max_length=63)
    reason: str = Field(description="Why, in one CamelCase word.", max_length=63)
    step: int = Field(description="The evaluation at which it could first be said.", ge=0)
    evidence: dict[str, float] = Field(
        default_factory=dict, description="The numbers that it rests on, by name.", max_length=16
    )
    compared: list[Annotated[str, Field(max_length=63)]] = Field(
        default_factory=list,
        description="The trials that it was compared with, at most 32 of them.",
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class TrialProgress(Model):
    """Where a running trial is; refreshed about once a minute."""

    step: int | None = Field(None, description="The last step that Prometheus has seen.", ge=0)
    value: float | None = Field(None, description="The objective there, where it is finite.")
    non_finite: NonFinite | None = Field(None, description="The objective there, where it is not finite.")
    time: Time = Field(description="When it was scraped.")


class TuningTrialStatus(Model):
    """Where the trial stands, and its result."""

    state: TrialState = Field(TrialState.PENDING, description="Where the trial stands.")
    reason: str | None = Field(None, description="Why, in one CamelCase word.", max_length=128)
    message: str | None = Field(None, description="Why, for people.", max_length=2048)
    attempt: int = Field(0, description="The number of the current Job; each retry has a new one.", ge=0)
    job: str | None = Field(None, description="The current Job's name.", max_length=63)
    pack_size: int | None = Field(
        None, description="How many trials that Job's process trains together; absent: this one alone.", ge=2
    )
    packed_in: str | None = Field(
        None,
        description="The Job of the pack that the trial is in, or was in at its last attempt: those who were together "
        "go on together, since their checkpoints are of one step.",
        max_length=63,
    )
    max_packed: int | None = Field(
        None,
        description="At most so many trials may share the process of the next attempt, since a larger pack ran out of "
        "memory or failed; absent: spec.trial.maxPacked of the study.",
        ge=1,
    )
    too_many: int | None = Field(
        None,
        description="So many trials in one process ran out of memory, this one among them: those that its arm starts "
        "later share it with half as many.",
        ge=2,
    )
    infrastructure_retries: int = Field(
        0, description="How often the trial was started again after its pod was lost.", ge=0
    )
    lost_pods: list[Uid] = Field(
        default_factory=list,
        description="The uids of pods that were lost to infrastructure, as counted.",
        max_length=128,
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    results_lost: int = Field(0, description="How often the trial ended without a result that could be read.", ge=0)
    retry_after: Time | None = Field(None, description="The next attempt does not start before this moment.")
    start_time: Time | None = Field(None, description="When the trial's container first ran.")
    completion_time: Time | None = Field(None, description="When the trial ended.")
    resumed_from: int | None = Field(
        None, description="The step from which the last attempt went on; absent: from step 0.", ge=0
    )
    progress: TrialProgress | None = Field(None, description="Where the running trial is.")
    result: TrialResult | None = Field(
        None, description="What came of the trial; of a stopped one, how far it had come."
    )
    stop: StopRecord | None = Field(None, description="Why the stopping rule has ended, or is ending, the trial.")
    passed_rungs: int = Field(0, description="The rungs of successive halving that the trial was let past.", ge=0)
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Succeeded: Unknown until the trial has ended, then True with a result and False without.",
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
