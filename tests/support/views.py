"""Views for tests of the thinking part: valid as they are, so that a test states only what matters to it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support import builders
from tuning_contract.curve import Curve, Point, best_of, late_median_of
from tuning_contract.environment import parameters_hash
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_operator.api import names
from tuning_operator.api.findings import Conclusion, ConclusionState
from tuning_operator.api.hyperparameters import Hyperparameter
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.api.study_status import TuningStudyStatus
from tuning_operator.api.trial import StudyRef, TrialResult, TuningTrialSpec, TuningTrialStatus
from tuning_operator.playbook.analysis import Analysis
from tuning_operator.study.snapshot import (
    AnalysisFailed,
    DatedAnalysis,
    JobView,
    MetricsView,
    PodView,
    Sample,
    Snapshot,
    StudyView,
    TrialView,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
UID = "5f6b0a51-0a4e-4b86-9c4e-2f8f2a4c9d11"
TEMPLATE_HASH = "a" * 64


def seconds(number: float) -> timedelta:
    """Return a duration."""
    return timedelta(seconds=number)


def after(number: float) -> datetime:
    """Return the moment so many seconds after NOW."""
    return NOW + seconds(number)


def a_spec(**spec: Any) -> TuningStudySpec:
    """Return a study's specification; keywords are merged into a valid one, as in `builders.a_study`."""
    return TuningStudySpec.model_validate(builders.a_study(**spec)["spec"])


def a_hyperparameter(manifest: Mapping[str, Any]) -> Hyperparameter:
    """Return the model of `builders.a_range(...)` and its like."""
    return Hyperparameter.model_validate(manifest)


def a_study(
    *, status: TuningStudyStatus | None = None, view: Mapping[str, Any] | None = None, **spec: Any
) -> StudyView:
    """Return a study; keywords are merged into its specification, `view` replaces fields of the view itself."""
    study = StudyView(
        namespace="default",
        name="digits",
        uid=UID,
        generation=1,
        resource_version="1",
        created=NOW,
        deleting=False,
        spec=a_spec(**spec),
        status=status or TuningStudyStatus(),
        template_hash=TEMPLATE_HASH,
    )
    return replace(study, **(view or {}))


def a_trial(index: int = 0, *, arm: int = 0, position: int | None = None, **status: Any) -> TrialView:
    """Return a trial; keywords are fields of its status. Its position is its index unless it is given."""
    text = f'{{"learning_rate":0.{index + 1}}}'
    spec = TuningTrialSpec(
        study_ref=StudyRef(name="digits", uid=UID),
        index=index,
        arm=arm,
        position=index if position is None else position,
        assignments=[],
        parameters=text,
        parameters_hash=parameters_hash(text),
        seed=7,
    )
    name = names.trial_name("digits", UID, index)
    return TrialView(name, f"trial-{index}", "1", NOW, False, spec, TuningTrialStatus(**status))


NOTHING_SAID = Analysis((), Conclusion(state=ConclusionState.PENDING, reason="TooFewTrials"), None)
"""What the Playbook says of a study without trials, in short."""


def analysed(trials: int, result: Analysis | AnalysisFailed = NOTHING_SAID, **fields: Any) -> DatedAnalysis:
    """Return an analysis of a study of generation 1 of which so many trials have ended, all of them the search's."""
    return DatedAnalysis(**{"result": result, "trials": trials, "searched": trials, "generation": 1, **fields})


def a_result(value: float | None = 0.5, **fields: Any) -> TrialResult:
    """Return a trial's exact result."""
    return TrialResult(value=value, **{"source": "Record", "step": 100, **fields})


def a_job(trial: TrialView, attempt: int = 0, **fields: Any) -> JobView:
    """Return the Job of one attempt, under way unless it is said to be complete or failed."""
    name = names.job_name(trial.name, attempt)
    return JobView(**{"name": name, "uid": name, "trial": trial.name, "attempt": attempt, "created": NOW, **fields})


def a_pod(job: JobView, number: int = 0, **fields: Any) -> PodView:
    """Return a Job's pod; with `exit_code` it has ended, else it is as its fields say: pending by default."""
    name = f"{job.name}-pod{number}"
    valid: dict[str, Any] = {
        "name": name,
        "uid": name,
        "job_uid": job.uid,
        "trial": job.trial,
        "attempt": job.attempt,
        "created": NOW + seconds(number),
    }
    if fields.get("exit_code") is not None:
        code = fields["exit_code"]
        valid |= {
            "phase": "Failed" if code else "Succeeded",
            "started": NOW,
            "finished": after(60),
            "exit_reason": "Error" if code else "Completed",
        }
    return PodView(**{**valid, **fields})


def running(job: JobView, number: int = 0, **fields: Any) -> PodView:
    """Return a pod whose container runs."""
    return a_pod(job, number, **{"phase": "Running", "started": NOW, **fields})


def a_record(
    trial: TrialView,
    values: Iterable[float] = (0.9, 0.5, 0.6),
    *,
    status: RecordStatus = RecordStatus.COMPLETED,
    attempt: int = 0,
    direction: Any = "Minimize",
    **fields: Any,
) -> str:
    """Return a termination message: the record of evaluations at steps 10, 20, … with these values."""
    curve = tuple(Point(10 * (i + 1), value) for i, value in enumerate(values))
    record = FinalRecord(
        study_uid=UID,
        trial=trial.name,
        attempt=attempt,
        parameters_hash=trial.spec.parameters_hash,
        status=status,
        best=best_of(curve, direction),
        last=curve[-1] if curve else None,
        late_median=late_median_of(curve),
        curve=Curve.of("validation_loss", curve),
    )
    return replace(record, **fields).encode().decode()


def samples(*values: float, attempt: int = 0, first_step: int | None = 10, start: float = 0) -> tuple[Sample, ...]:
    """Return one scrape every 15 seconds, at steps 10 apart; `first_step` None: without steps."""
    return tuple(
        Sample(after(start + 15 * i), value, None if first_step is None else first_step + 10 * i, attempt)
        for i, value in enumerate(values)
    )


def a_snapshot(
    study: StudyView | None = None,
    trials: Iterable[TrialView] = (),
    jobs: Iterable[JobView] = (),
    pods: Iterable[PodView] = (),
    **fields: Any,
) -> Snapshot:
    """Return the world with these objects in it."""
    by_trial: dict[str, tuple[JobView, ...]] = {}
    for job in jobs:
        by_trial[job.trial] = (*by_trial.get(job.trial, ()), job)
    by_job: dict[str, tuple[PodView, ...]] = {}
    for pod in pods:
        by_job[pod.job_uid] = (*by_job.get(pod.job_uid, ()), pod)
    valid: dict[str, Any] = {
        "now": after(100),
        "study": study or a_study(),
        "trials": {trial.name: trial for trial in trials},
        "jobs": by_trial,
        "pods": by_job,
        "metrics": MetricsView(),
    }
    return Snapshot(**{**valid, **fields})
