"""Whether trials can start: a study whose pods cannot start says so, and spends nothing meanwhile."""

from collections.abc import Iterable
from dataclasses import dataclass

from tuning_operator.study.snapshot import PodView, Refusal, Snapshot

CONDITION = "TrialsStarting"
CANNOT_START = "ContainerCannotStart"
"""The reason of a trial whose container could not be started at all."""
CANNOT_START_WORDS = frozenset({"StartError", "ContainerCannotRun"})
"""The kubelet's words for it."""

IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
CONTAINER_REASONS = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "PreCreateHookError",
        "RunContainerError",
        "PostStartHookError",
    }
)


@dataclass(frozen=True)
class Obstacle:
    """Why pods do not start."""

    reason: str
    message: str
    blocks: bool = True
    """False for a wait that is nobody's mistake: for a node or a GPU."""
    retry: bool = False
    """It may be gone, and one try will tell."""

    @property
    def forbids(self) -> bool:
        """Whether nothing may be started while it lasts."""
        return self.blocks and not self.retry


def obstacle_of(snapshot: Snapshot, active: Iterable[str]) -> Obstacle | None:
    """Return what keeps the pods of the active trials from starting, the gravest first; None where they start."""
    found = [_of_refusal(refusal) for refusal in snapshot.refusals]
    found += _of_first_trials(snapshot)
    for trial in active:
        for job in snapshot.jobs.get(trial, ()):
            found += [o for pod in snapshot.pods_of(job) if (o := _of_pod(pod)) is not None]
    return min(found, key=lambda o: (not o.blocks, o.retry), default=None)


def _of_first_trials(snapshot: Snapshot) -> list[Obstacle]:
    """A container that no node can start, such as one whose command does not exist, would fail every trial alike."""
    statuses = [trial.status for trial in snapshot.trials.values()]
    if any(status.start_time is not None for status in statuses):
        return []
    never = [trial for trial in snapshot.trials.values() if trial.status.reason == CANNOT_START]
    return [
        Obstacle("InvalidContainer", f"Trial {trial.name}: {trial.status.message}. Create the study anew, mended.")
        for trial in never[:1]
    ]


def _of_pod(pod: PodView) -> Obstacle | None:
    if pod.over or pod.deleting:
        return None
    if pod.waiting_reason in IMAGE_REASONS:
        return Obstacle("ImagePullFailed", f"Pod {pod.name}: {_said(pod)}")
    if pod.waiting_reason in CONTAINER_REASONS:
        return Obstacle("InvalidContainer", f"Pod {pod.name}: {_said(pod)}")
    if pod.unschedulable:
        return Obstacle("Unschedulable", f"Pod {pod.name} waits for a node: {pod.unschedulable}", blocks=False)
    return None


def _of_refusal(refusal: Refusal) -> Obstacle:
    text = refusal.message
    if "exceeded quota" in text or "must specify limits" in text or "must specify requests" in text:
        reason = "QuotaExceeded"
    elif "is invalid" in text or "Invalid value" in text:
        reason = "InvalidContainer"
    else:
        reason = "PodsForbidden"
    return Obstacle(reason, f"Trial {refusal.trial}: {text}", retry=refusal.retry)


def _said(pod: PodView) -> str:
    return f"{pod.waiting_reason}: {pod.waiting_message}" if pod.waiting_message else pod.waiting_reason
