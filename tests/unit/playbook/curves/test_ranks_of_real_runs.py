"""What real runs of two processes told of themselves, and what the checks make of it (HST-1 to HST-3, BNM-6).

Written by the trainer with a model that has a batch norm, three steps, and one fault each; its own test
(tests/unit/trainer/test_parallel.py) makes the same runs and compares their hashes.
"""

from dataclasses import replace

import pytest

from tests.support.studies import spec_of, study_of, trial_of
from tuning_contract.diagnostics import Diagnostics, Rank
from tuning_operator.playbook.curves.detectors.ranks import ranks_diverge, ranks_share_data, several_ranks_write

SOUND = (
    Rank(0, initial_weights="46bba2ed", first_batch="bf3db47f", buffers="26784f42", writes_checkpoints=True),
    Rank(1, initial_weights="46bba2ed", first_batch="640dbde5", buffers="26784f42"),
)
OTHER_WEIGHTS = (
    Rank(0, initial_weights="46bba2ed", first_batch="bf3db47f", buffers="67dfab7a", writes_checkpoints=True),
    Rank(1, initial_weights="96ae2887", first_batch="640dbde5", buffers="67dfab7a"),
)
OTHER_BUFFERS = (
    Rank(0, initial_weights="46bba2ed", first_batch="bf3db47f", buffers="71d0213f", writes_checkpoints=True),
    Rank(1, initial_weights="46bba2ed", first_batch="640dbde5", buffers="01f13550"),
)
SAME_DATA = (
    Rank(0, initial_weights="46bba2ed", first_batch="bf3db47f", buffers="ed03e8c7", writes_checkpoints=True),
    Rank(1, initial_weights="46bba2ed", first_batch="bf3db47f", buffers="ed03e8c7"),
)


@pytest.mark.parametrize(
    ("ranks", "verdicts"),
    [
        (SOUND, ("Ok", "Ok", "Ok")),
        (OTHER_WEIGHTS, ("RankDivergence", "Ok", "Ok")),
        (OTHER_BUFFERS, ("RankDivergence", "Ok", "Ok")),
        (SAME_DATA, ("Ok", "RankSameData", "Ok")),
        (tuple(replace(rank, writes_checkpoints=True) for rank in SOUND), ("Ok", "Ok", "SeveralWriters")),
        (SOUND[:1], ("Ok", "Ok", "Ok")),
    ],
)
def test_the_checks_see_each_fault_and_nothing_else(ranks: tuple[Rank, ...], verdicts: tuple[str, ...]) -> None:
    told = Diagnostics.from_json(Diagnostics(ranks=ranks).to_json())
    spec = spec_of()
    study = study_of(spec, [trial_of(spec, 0, {"learning_rate": 0.01}, value=0.5, diagnostics=told)])
    findings = [rule(study) for rule in (ranks_diverge, ranks_share_data, several_ranks_write)]
    assert tuple(finding.verdict for finding in findings) == verdicts
