"""Names are valid for Kubernetes and never meet, whatever a study is called."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from tuning_operator.api.names import follow_up_name, job_name, study_label, trial_name, uid_hash

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"[a-z0-9]([-._a-z0-9]{0,61}[a-z0-9])?")
LONGEST = "a." * 126 + "a"

subdomains = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*", fullmatch=True)
studies = subdomains.filter(lambda name: len(name) <= 253)
uids = st.uuids().map(str)
indices = st.integers(min_value=0, max_value=2**31)
attempts = st.integers(min_value=1, max_value=10_000)


@given(studies, uids, indices, attempts)
@example(LONGEST, "6f1c", 2**31, 10_000)
@example("a" * 253, "6f1c", 0, 1)
@example("a" + "-" * 61 + "a", "6f1c", 0, 1)
def test_names_are_dns_labels(study: str, uid: str, index: int, attempt: int) -> None:
    assert DNS_LABEL.fullmatch(trial_name(study, uid, index))
    assert DNS_LABEL.fullmatch(job_name(trial_name(study, uid, index), attempt))
    assert DNS_LABEL.fullmatch(job_name(follow_up_name(study, uid, "retrain", index), attempt))


@given(studies, uids, uids, indices, indices)
@example(LONGEST, "6f1c", "6f1d", 1, 1)
def test_trials_never_share_a_name(study: str, uid: str, other_uid: str, index: int, other_index: int) -> None:
    same = (uid, index) == (other_uid, other_index)
    assert (trial_name(study, uid, index) == trial_name(study, other_uid, other_index)) == same


@given(studies, studies, uids, uids, indices)
def test_studies_never_share_a_trial_s_name(study: str, other: str, uid: str, other_uid: str, index: int) -> None:
    if uid != other_uid:
        assert trial_name(study, uid, index) != trial_name(other, other_uid, index)


@given(studies, uids, st.tuples(indices, attempts), st.tuples(indices, attempts))
@example("a", "6f1c", (1, 11), (11, 1))
def test_attempts_never_share_a_name(study: str, uid: str, one: tuple[int, int], other: tuple[int, int]) -> None:
    jobs = [job_name(trial_name(study, uid, index), attempt) for index, attempt in (one, other)]
    assert (jobs[0] == jobs[1]) == (one == other)


@given(studies, uids, indices, indices, st.sampled_from(["retrain", "probe"]))
@example(LONGEST, "6f1c", 1, 1, "probe")
def test_what_follows_the_search_never_shares_a_name_with_it(
    study: str, uid: str, index: int, number: int, kind: str
) -> None:
    assert follow_up_name(study, uid, kind, number) != trial_name(study, uid, index)
    assert follow_up_name(study, uid, "retrain", number) != follow_up_name(study, uid, "probe", number)


def test_dots_and_dashes_cannot_make_two_studies_meet() -> None:
    assert trial_name("a.b", "6f1c", 0) != trial_name("a-b", "6f1d", 0)


@given(studies)
@example(LONGEST)
@example("a" * 54 + "." * 0 + "-" * 8 + "b" * 20)
def test_labels_are_valid(study: str) -> None:
    assert LABEL_VALUE.fullmatch(study_label(study))


@given(studies, studies)
@example("a" * 64, "a" * 65)
def test_labels_tell_studies_apart(study: str, other: str) -> None:
    assert (study_label(study) == study_label(other)) == (study == other)


@given(studies.filter(lambda name: len(name) <= 63))
def test_short_names_are_their_own_label(study: str) -> None:
    assert study_label(study) == study


@given(uids)
def test_hashes_are_short_and_stable(uid: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{8}", uid_hash(uid))
    assert uid_hash(uid) == uid_hash(uid)
