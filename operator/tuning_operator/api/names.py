"""Names, labels and annotations of what the operator creates: each is spelled once, here.

A name is a function of the study, the trial's index and the attempt, so a retry computes it again and a second create
is refused by the API server. It carries a hash of the study's uid: a study re-created under its old name never meets
the old one's objects.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from tuning_operator.api.base import GROUP

LABEL_STUDY: Final = f"{GROUP}/study"
LABEL_STUDY_UID: Final = f"{GROUP}/study-uid"
LABEL_TRIAL: Final = f"{GROUP}/trial"
LABEL_ATTEMPT: Final = f"{GROUP}/attempt"
LABEL_PACK: Final = f"{GROUP}/pack"
"""On the Job and the pod of several trials: the hash of TUNING_PACK. Their trial and attempt are the first one's."""
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
ANNOTATION_STUDY: Final = f"{GROUP}/study-name"
"""The study's full name, where the label carries a shortened one."""

ANNOTATION_FOLLOWS: Final = f"{GROUP}/follows"
"""On a study that was proposed: the name of the study whose findings it follows from."""
ANNOTATION_REASONS: Final = f"{GROUP}/reasons"
"""On such a study: what differs from the one before it, and why; one reason a line."""
ANNOTATION_ROUND: Final = f"{GROUP}/round"
"""On such a study: which one of its chain it is; the first has none and is 1."""
ANNOTATION_MEMBERS: Final = f"{GROUP}/members"
"""On the Job and the pod of several trials: as JSON [[trial, attempt, the trial's uid], …], as in TUNING_PACK."""
ANNOTATION_CONTAINER: Final = f"{GROUP}/container"
"""On a trial's pod: which of its containers trains."""
ANNOTATION_METRICS_PATH: Final = f"{GROUP}/metrics-path"
"""On a trial's pod: the HTTP path that Prometheus scrapes."""
METRICS_PORT_NAME: Final = "tuning-metrics"
"""The name of the container port that Prometheus scrapes."""

MANAGED_BY: Final = "tuning-operator"
MAX_NAME: Final = 63
MAX_TRIAL_NAME: Final = 57
"""The Job of each attempt adds a hyphen and the attempt's number, of up to five digits."""
UID_HASH_LENGTH: Final = 8


def uid_hash(uid: str) -> str:
    """Return 8 hexadecimal digits of the uid's SHA-256."""
    return hashlib.sha256(uid.encode()).hexdigest()[:UID_HASH_LENGTH]


def trial_name(study: str, study_uid: str, index: int) -> str:
    """Return a TuningTrial's name, at most 57 characters: a DNS label.

    >>> trial_name("digits", "6f1c", 7)
    'digits-4d482d94-7'
    """
    return _with_prefix(study, f"-{uid_hash(study_uid)}-{index}", MAX_TRIAL_NAME)


def follow_up_name(study: str, study_uid: str, kind: str, number: int) -> str:
    """Return the name of a TuningTrial that repeats or probes others, at most 57 characters.

    >>> follow_up_name("digits", "6f1c", "retrain", 3)
    'digits-4d482d94-retrain-3'
    """
    return _with_prefix(study, f"-{uid_hash(study_uid)}-{kind}-{number}", MAX_TRIAL_NAME)


def job_name(trial: str, attempt: int) -> str:
    """Return the name of one attempt's Job, at most 63 characters.

    >>> job_name("digits-4d482d94-7", 1)
    'digits-4d482d94-7-1'
    """
    return f"{trial}-{attempt}"


def study_label(study: str) -> str:
    """Return the study's name as a label's value: whole where it fits, else cut and hashed.

    >>> study_label("digits")
    'digits'
    """
    if len(study) <= MAX_NAME:
        return study
    digest = hashlib.sha256(study.encode()).hexdigest()[:UID_HASH_LENGTH]
    return f"{study[: MAX_NAME - UID_HASH_LENGTH - 1].rstrip('-._')}-{digest}"


def round_of(annotations: Mapping[str, str]) -> int:
    """Return which study of its chain a study is; what somebody else has written there counts as the first.

    >>> round_of({ANNOTATION_ROUND: "3"}), round_of({}), round_of({ANNOTATION_ROUND: "x"})
    (3, 1, 1)
    """
    text = annotations.get(ANNOTATION_ROUND, "")
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def pack_name(first: str, members: str) -> str:
    """Return the name of the Job of several trials, at most 63 characters.

    Args:
        first: the first trial's name.
        members: which they are; another text makes another name, so that trials drawn again meet no older Job.

    >>> pack_name("digits-4d482d94-7", '[["digits-4d482d94-7",0,"6f1c"]]')
    'digits-4d482d94-7-pack-2d05fe2a'
    """
    return _with_prefix(first, f"-pack-{uid_hash(members)}", MAX_NAME)


def _with_prefix(study: str, suffix: str, limit: int) -> str:
    # A DNS label has no dots and starts with a letter or digit; a study's name may have dots (a DNS subdomain).
    prefix = study.replace(".", "-")[: limit - len(suffix)].rstrip("-")
    return prefix + suffix
