"""Each member reports as its own trial and ends by itself; what ends all of them is told by each."""

import json
import threading
from pathlib import Path

import pytest

from tests.unit.trainer.needs_torch import torch
from tests.unit.trainer.population.runs import TIMINGS, Given, member
from tests.unit.trainer.processes import finish, start_alone
from tuning_contract.pack_record import MemberResult, PackRecord
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_trainer.endings import InterruptionError
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.population.members import Member
from tuning_trainer.population.reporting import Objective, PackReport, reporters_of
from tuning_trainer.population.training import train
from tuning_trainer.reporting import RecordFile, Reporter
from tuning_trainer.training import train as train_alone

LOSS = Objective("validation_loss", study_uid="5f6b0a51")
DIVERGING: Given = {"learning_rate": 1e6, "weight_decay": 1e3}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trained(
    members: list[Member], folder: Path, stop: threading.Event | None = None, **options: object
) -> dict[str, FinalRecord]:
    """Train a population and return what it leaves, by trial."""
    environment = LOSS.environment(members)
    reporters, _ = reporters_of(environment, PackReport(environment), folder)
    train(members, reporters, (LOSS.metric,), stop or threading.Event(), lambda _: None, **options)  # type: ignore[arg-type]
    return {m.trial: FinalRecord.decode((folder / m.trial).read_bytes()) for m in members}


def alone(member: Member, folder: Path) -> FinalRecord:
    """Train one with the ordinary loop."""
    file = folder / "alone"
    file.touch()
    (trial,) = LOSS.environment([member]).members
    reporter = Reporter(trial, record_file=RecordFile(str(file)))
    train_alone(member.parameters, trial, reporter, threading.Event(), lambda _: None)
    reporter.complete()
    return FinalRecord.decode(file.read_bytes())


def test_a_member_s_record_is_the_ordinary_trial_s(tmp_path: Path) -> None:
    members = [member(n, learning_rate=0.01 * (n + 1), dropout=0.1 * n, dense_loss_steps=5) for n in range(3)]
    for one in members:
        record, expected = trained(members, tmp_path)[one.trial], alone(one, tmp_path)
        assert (record.trial, record.attempt, record.status) == (one.trial, 0, RecordStatus.COMPLETED)
        assert record.parameters_hash == expected.parameters_hash
        assert record.best is not None
        assert expected.best is not None
        assert record.best.step == expected.best.step
        assert record.best.value == pytest.approx(expected.best.value, rel=1e-4)
        assert record.curve.metrics == expected.curve.metrics
        for name in set(record.curve.metrics) - set(TIMINGS):
            assert record.curve.series(name) == pytest.approx(expected.curve.series(name), rel=1e-3), name
        mine, its = record.diagnostics, expected.diagnostics
        assert mine.dense_loss == pytest.approx(its.dense_loss, rel=1e-4)
        assert (mine.full_evaluation, mine.per_class) == (its.full_evaluation, its.per_class)
        assert mine.grad_norm_histogram is not None
        assert mine.grad_norm_histogram.total == 50


def test_one_that_diverges_and_one_that_is_not_wanted_end_alone(tmp_path: Path) -> None:
    members = [member(0), member(1, **DIVERGING), member(2), member(3)]
    records = trained(members, tmp_path, wanted=lambda m: m.trial != "trial-2")
    ends = [(record.status, record.reason, record.last and record.last.step) for record in records.values()]
    assert ends == [
        (RecordStatus.COMPLETED, "", 50),
        (RecordStatus.INFEASIBLE, "NonFiniteObjective", 25),
        (RecordStatus.INTERRUPTED, "Interrupted", 25),
        (RecordStatus.COMPLETED, "", 50),
    ]
    assert "first at step" in records["trial-1"].message
    assert records["trial-0"].best == trained([members[0]], tmp_path)["trial-0"].best


def test_a_population_whose_last_member_diverges_ends(tmp_path: Path) -> None:
    records = trained([member(n, **DIVERGING) for n in range(2)], tmp_path)
    assert {record.status for record in records.values()} == {RecordStatus.INFEASIBLE}


def test_a_metric_that_is_not_measured_and_a_stop(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptionError, match="after step 0 of 50"):
        trained([member()], tmp_path, stop)
    environment = LOSS.environment([member()])
    reporters, _ = reporters_of(environment, PackReport(environment))
    with pytest.raises(ConfigurationError, match="'accuracy' is not measured"):
        train([member()], reporters, ("accuracy",), threading.Event())


class TestCommand:
    @staticmethod
    def run(folder: Path, members: list[dict[str, object]], *arguments: str) -> tuple[int, str, str]:
        (folder / "members.json").write_text(json.dumps(members))
        (folder / "record").touch()
        given = [str(folder / "members.json"), f"--records={folder / 'records'}", f"--record={folder / 'record'}"]
        return finish(start_alone(*given, *arguments, program=("-m", "tuning_trainer.population")))

    def test_it_leaves_a_record_of_each_and_one_of_all(self, tmp_path: Path) -> None:
        short = {"workload": "tabular", "max_steps": 10, "evaluate_every_steps": 5}
        members: list[dict[str, object]] = [
            {"trial": "a", "parameters": short, "seed": 1, "attempt": 2},
            {"trial": "b", "parameters": short | DIVERGING, "seed": 2},
        ]
        code, output, _ = self.run(tmp_path, members, "--study-uid=5f6b0a51")
        assert code == 0
        assert "a: Completed" in output
        pack = PackRecord.decode((tmp_path / "record").read_bytes())
        told = [(r.status, r.reason) for r in pack.results]
        assert told == [(RecordStatus.COMPLETED, ""), (RecordStatus.INFEASIBLE, "NonFiniteObjective")]
        own = FinalRecord.decode((tmp_path / "records" / "a").read_bytes())
        assert own.attempt == 2
        assert MemberResult.of(own).to_json()["best"] == pack.results[0].to_json()["best"]

    def test_members_of_two_shapes_are_a_bad_configuration(self, tmp_path: Path) -> None:
        members: list[dict[str, object]] = [
            {"trial": name, "parameters": {"batch_size": size}, "seed": 1} for name, size in (("a", 8), ("b", 16))
        ]
        code, _, errors = self.run(tmp_path, members)
        assert code == 78
        assert "a and b cannot be trained together: they differ in batch_size (8 and 16)" in errors
