"""Whether Prometheus has the running trials' metrics; where not, what was looked for and what was seen."""

from tuning_operator.api.base import Condition
from tuning_operator.api.names import LABEL_TRIAL
from tuning_operator.api.trial import TrialState
from tuning_operator.study.conditions import condition, find
from tuning_operator.study.snapshot import Snapshot

CONDITION = "MetricsAvailable"
PATIENCE_INTERVALS = 3
"""A trial that has run for this many scrape intervals should have been seen."""


def metrics_available(snapshot: Snapshot) -> Condition:
    """Return the condition MetricsAvailable; it stays as it was where nothing speaks for or against it."""
    study, now = snapshot.study, snapshot.now
    patience = snapshot.settings.scrape_interval * PATIENCE_INTERVALS
    before = find(study.status.conditions, CONDITION)

    def say(answer: bool | None, reason: str, message: str) -> Condition:
        return condition(CONDITION, answer, reason, message, study.generation, now)

    if not snapshot.metrics.reachable:
        since = snapshot.metrics.since
        if since is not None and now - since >= patience:
            fresh = say(False, "PrometheusUnreachable", f"Prometheus does not answer: {snapshot.metrics.error}")
            if before is not None and (before.status, before.reason) == (fresh.status, fresh.reason):
                # A client words the same failure anew at each try; a status write for each would help nobody.
                return before.model_copy(update={"observed_generation": study.generation})
            return fresh
    elif snapshot.metrics.latest:
        return say(True, "SeriesFound", f"Prometheus has {study.series} of running trials.")
    elif lost := trials_with_lost_results(snapshot):
        missed = f"which ended without a final record either, so that its result is lost. {_looked_for(snapshot)}"
        return say(False, "SeriesMissing", f"Prometheus has no series {study.series} of {lost[0]}, {missed}")
    elif blind := trials_without_metrics(snapshot):
        missed = f"which has run for more than {PATIENCE_INTERVALS} scrape intervals. {_looked_for(snapshot)}"
        return say(
            False,
            "SeriesMissing",
            f"Prometheus has no series {study.series} of {blind[0]}, {missed} Results come from the trials' final "
            "records meanwhile.",
        )
    return before or say(None, "NotYetKnown", "No trial has run long enough to be scraped.")


def _looked_for(snapshot: Snapshot) -> str:
    metrics = snapshot.study.spec.metrics
    seen = ", ".join(snapshot.metrics.names_seen) or "none"
    return (
        f"Looked for: pods with the label {LABEL_TRIAL}, port {metrics.port}, path {metrics.path}. "
        f"Metrics seen of this study's pods: {seen}."
    )


def trials_with_lost_results(snapshot: Snapshot) -> list[str]:
    """Return the trials that ended well, but of which neither record nor samples were found, and that have none yet."""
    return [t.name for t in snapshot.trials.values() if t.status.results_lost and not t.status.state.has_result]


def trials_without_metrics(snapshot: Snapshot) -> list[str]:
    """Return the running trials that should have been scraped by now, but of which Prometheus has nothing."""
    patience = snapshot.settings.scrape_interval * PATIENCE_INTERVALS
    missing = []
    for trial in snapshot.trials.values():
        if trial.status.state is not TrialState.RUNNING or trial.name in snapshot.metrics.latest:
            continue
        job = snapshot.job_of(trial)
        running = [pod for pod in snapshot.pods_of(job) if pod.running] if job is not None else []
        if any(pod.started is not None and snapshot.now - pod.started >= patience for pod in running):
            missing.append(trial.name)
    return missing
