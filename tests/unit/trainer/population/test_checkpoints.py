"""A pack that was interrupted ends like one that was not, bit for bit, and a trial can move between packs and pods."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.needs_torch import torch
from tests.unit.trainer.population.packs import a_pack
from tests.unit.trainer.population.runs import TIMINGS, Given
from tests.unit.trainer.stops import StopBeforeStep
from tuning_contract.environment import TrialEnvironment
from tuning_contract.pack import PackEnvironment
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_trainer.checkpoint import BEST, LAST, CheckpointStore
from tuning_trainer.endings import InterruptionError
from tuning_trainer.parameters import OPTIMIZERS
from tuning_trainer.population.checkpoints import ENDED, stores_of
from tuning_trainer.population.members import Member, members_of
from tuning_trainer.population.reporting import PackReport, reporters_of
from tuning_trainer.population.training import train
from tuning_trainer.reporting import RecordFile, Reporter
from tuning_trainer.training import train as train_alone
from tuning_trainer.workloads.loading import parameters_from

SHORT: Given = {"workload": "tabular", "hidden_width": 8, "batch_size": 16, "max_steps": 30, "evaluate_every_steps": 10}
PLAIN: Given = {"learning_rate": 0.01}
DROPPING: Given = {"learning_rate": 0.02, "dropout": 0.3, "clip_norm": 0.5, "schedule": "step", "dense_loss_steps": 25}
AVERAGED: Given = {"learning_rate": 0.005, "ema_decay": 0.9, "label_smoothing": 0.1, "warmup_steps": 5}
SGD: Given = {"optimizer": "sgd"}
DIVERGING: Given = {"learning_rate": 1e6, "weight_decay": 1e3, "schedule": "constant"}
"""With SGD; its loss is not finite at the first evaluation."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def of(directory: Path, *members: Given, attempt: int = 0, common: Given | None = None) -> PackEnvironment:
    """Return a pack of short runs, which have `common` in common; its files lie in `directory`, made if need be."""
    directory.mkdir(exist_ok=True)
    return a_pack(directory, *[SHORT | member | (common or {}) for member in members], attempt=attempt)


def attempt(
    pack: PackEnvironment,
    stop: threading.Event | None = None,
    said: list[str] | None = None,
    wanted: Callable[[Member], bool] = lambda _: True,
) -> list[FinalRecord]:
    """Train one attempt of each trial in this process and return their own, whole records."""
    records = Path(pack.members[0].termination_log).parent / "records"
    said = [] if said is None else said
    reporters, _ = reporters_of(pack, PackReport(pack), records)
    members = members_of(pack)
    stores = stores_of(pack, members, said.append)
    metrics = (pack.members[0].metric,)
    train(members, reporters, metrics, stop or threading.Event(), said.append, wanted, stores=stores)
    return [FinalRecord.decode((records / member.trial).read_bytes()) for member in members]


def alone(trial: TrialEnvironment, stop: threading.Event | None = None) -> FinalRecord:
    """Train one attempt of one trial with the ordinary loop."""
    Path(trial.termination_log).write_bytes(b"")
    reporter = Reporter(trial, record_file=RecordFile(trial.termination_log))
    train_alone(parameters_from(trial.parameters), trial, reporter, stop or threading.Event(), lambda _: None)
    reporter.complete()
    return FinalRecord.decode(Path(trial.termination_log).read_bytes())


def told(record: FinalRecord) -> str:
    """Return all that a record says of the training, without what a clock has measured; NaN is equal to itself."""
    curve = [(name, record.curve.series(name)) for name in record.curve.metrics if name not in TIMINGS]
    return repr((record.status, record.reason, record.message, record.best, record.last, curve, record.diagnostics))


def kept(pack: PackEnvironment, name: str = LAST) -> list[dict[str, Any]]:
    """Return each trial's checkpoint."""
    return [torch.load(Path(str(m.checkpoint_dir)) / name, weights_only=True) for m in pack.members]


def assert_same_weights(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["step"] == other["step"]
    for name, value in one["model"].items():
        assert torch.equal(value, other["model"][name]), name


ALL = (PLAIN, DROPPING, AVERAGED)


@pytest.mark.parametrize(
    ("stops", "members", "common"),
    [
        ((0,), ALL, {}),
        ((10,), ALL, {"gradient_accumulation": 2}),
        ((29,), ALL, {}),
        ((1, 1, 1), ALL, {}),
        *(((13,), ALL, {"optimizer": optimizer}) for optimizer in OPTIMIZERS),
        ((7, 5, 11), (PLAIN, DIVERGING, DROPPING, AVERAGED), SGD),
        ((13, 12), (DIVERGING | AVERAGED | {"learning_rate": 1e6}, PLAIN, DROPPING), SGD),
        ((13,), (PLAIN, DIVERGING | {"dropout": 0.2, "clip_norm": 1e9}), SGD),
        ((13,), ALL, {"order_seed": 4}),
        ((13,), (PLAIN, DIVERGING), SGD | {"order_seed": 4}),
        ((13,), ALL, {"workload": "digits"}),
        ((13,), ALL, {"workload": "characters", "batch_size": 2, "evaluation_examples": 8}),
    ],
)
def test_an_interrupted_pack_ends_like_one_that_was_not_bit_for_bit(
    tmp_path: Path, stops: tuple[int, ...], members: tuple[Given, ...], common: Given
) -> None:
    whole = of(tmp_path / "whole", *members, common=common)
    expected = attempt(whole)
    for number, steps in enumerate(stops):
        with pytest.raises(InterruptionError, match=f"after step {sum(stops[: number + 1])} of 30"):
            attempt(of(tmp_path / "parts", *members, attempt=number, common=common), StopBeforeStep(steps))
    parts = of(tmp_path / "parts", *members, attempt=len(stops), common=common)
    for record, its in zip(attempt(parts), expected, strict=True):
        assert told(record) == told(its)
        ended = its.status is RecordStatus.INFEASIBLE
        assert record.resumed_from == (10 if ended else sum(stops))
    for number, its in enumerate(expected):
        if its.status is RecordStatus.COMPLETED:
            for name in (LAST, BEST):
                pair = [(Path(str(p.members[number].checkpoint_dir)) / name) for p in (whole, parts)]
                assert_same_weights(*(torch.load(path, weights_only=True) for path in pair))


def test_a_trial_goes_on_alone_where_its_pack_stopped(tmp_path: Path) -> None:
    expected = attempt(of(tmp_path / "whole", *ALL))
    with pytest.raises(InterruptionError):
        attempt(of(tmp_path / "parts", *ALL), StopBeforeStep(13))
    for trial, its in zip(of(tmp_path / "parts", *ALL, attempt=1).members, expected, strict=True):
        record = alone(trial)
        assert (record.resumed_from, record.status) == (13, RecordStatus.COMPLETED)
        assert [p.step for p in record.curve.points] == [10, 20, 30]
        assert [p.value for p in record.curve.points] == pytest.approx([p.value for p in its.curve.points], rel=1e-4)
        assert record.diagnostics.dense_loss == pytest.approx(its.diagnostics.dense_loss, rel=1e-4)


def test_trials_that_began_alone_go_on_as_a_pack(tmp_path: Path) -> None:
    expected = attempt(of(tmp_path / "whole", *ALL))
    for trial in of(tmp_path / "parts", *ALL).members:
        with pytest.raises(InterruptionError):
            alone(trial, StopBeforeStep(13))
    said: list[str] = []
    records = attempt(of(tmp_path / "parts", *ALL, attempt=1), said=said)
    assert said[0] == "resumed at step 13"
    for record, its in zip(records, expected, strict=True):
        assert [p.value for p in record.curve.points] == pytest.approx([p.value for p in its.curve.points], rel=1e-4)


def test_where_one_trial_has_no_checkpoint_of_that_step_all_start_anew_and_the_log_says_why(tmp_path: Path) -> None:
    expected = attempt(of(tmp_path / "whole", *ALL))
    pack = of(tmp_path / "parts", *ALL)
    with pytest.raises(InterruptionError):
        attempt(pack, StopBeforeStep(13))
    other = Path(str(pack.members[1].checkpoint_dir)) / LAST
    said: list[str] = []
    with pytest.raises(InterruptionError):
        alone(pack.members[1], StopBeforeStep(3))
    with pytest.raises(InterruptionError):
        attempt(pack, StopBeforeStep(5), said)
    assert said[0] == "digits-1 has a checkpoint of step 16 and digits-0 has one of step 13: all start at step 0"
    other.write_bytes(b"")
    records = attempt(pack, said=said)
    assert "cannot be read" in said[1]
    assert said[2] == "digits-0 has a checkpoint of step 5 and digits-1 has none: all start at step 0"
    assert [told(record) for record in records] == [told(its) for its in expected]
    assert {record.resumed_from for record in records} == {None}


@pytest.mark.parametrize("change", [{"dropout": 0.2}, {"learning_rate": 0.5}])
def test_a_checkpoint_of_other_parameters_is_not_resumed_from(tmp_path: Path, change: Given) -> None:
    attempt(of(tmp_path / "one", PLAIN, DROPPING))
    said: list[str] = []
    records = attempt(of(tmp_path / "one", PLAIN, DROPPING | change), said=said)
    assert "with other parameters or another seed" in said[0]
    assert {record.resumed_from for record in records} == {None}


@pytest.mark.parametrize(
    ("call", "killed_at", "resumed_from"),
    [("prepare", 4, 10), ("prepare", 5, 10), ("put_in_place", 3, 10), ("put_in_place", 4, 20), ("put_in_place", 5, 20)],
)
def test_a_kill_between_two_trials_checkpoints_costs_at_most_an_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, killed_at: int, resumed_from: int
) -> None:
    """Three trials save three times each: of the last checkpoints, numbers 3 to 5 are of step 20."""
    expected = attempt(of(tmp_path / "whole", *ALL))
    pack, real = of(tmp_path / "parts", *ALL), getattr(CheckpointStore, call)
    calls: list[str] = []

    def killed(store: CheckpointStore, name: str, *arguments: Any) -> None:
        if name == LAST:
            if len(calls) == killed_at:
                raise KeyboardInterrupt
            calls.append(name)
        real(store, name, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, call, killed)
        with pytest.raises(KeyboardInterrupt):
            attempt(pack)
    records = attempt(replace_attempt(pack))
    assert {record.resumed_from for record in records} == {resumed_from}
    assert [told(record) for record in records] == [told(its) for its in expected]
    assert {contents["step"] for contents in kept(pack)} == {30}


def replace_attempt(pack: PackEnvironment) -> PackEnvironment:
    """Return the pack's next attempt."""
    return PackEnvironment(tuple(replace(trial, attempt=trial.attempt + 1) for trial in pack.members))


def test_a_pack_that_has_ended_only_repeats_its_records(tmp_path: Path) -> None:
    members = (PLAIN, DIVERGING, AVERAGED)
    first = attempt(of(tmp_path / "one", *members, common=SGD))
    said: list[str] = []
    again = attempt(of(tmp_path / "one", *members, attempt=1, common=SGD), said=said)
    assert said == ["resumed at step 30"]
    assert [told(record) for record in again] == [told(record) for record in first]
    assert [record.attempt for record in again] == [1, 1, 1]


def test_a_pack_of_which_all_diverged_only_repeats_its_records(tmp_path: Path) -> None:
    members = (DIVERGING, DIVERGING)
    first = attempt(of(tmp_path / "one", *members, common=SGD))
    again = attempt(of(tmp_path / "one", *members, attempt=1, common=SGD))
    assert [told(record) for record in again] == [told(record) for record in first]
    assert {record.status for record in again} == {RecordStatus.INFEASIBLE}


def test_a_trial_that_diverged_keeps_its_ending_and_no_checkpoint_without_a_future(tmp_path: Path) -> None:
    pack = of(tmp_path / "one", PLAIN, DIVERGING, common=SGD)
    attempt(pack)
    files = [sorted(path.name for path in Path(str(m.checkpoint_dir)).iterdir()) for m in pack.members]
    assert files == [[BEST, LAST, "step-10.pt", "step-20.pt", "step-30.pt"], [ENDED]]


def test_a_trial_that_is_not_wanted_any_more_can_go_on_from_there(tmp_path: Path) -> None:
    pack = of(tmp_path / "one", *ALL)
    records = attempt(pack, wanted=lambda member: member.trial != "digits-1")
    assert [record.status for record in records] == [
        RecordStatus.COMPLETED,
        RecordStatus.INTERRUPTED,
        RecordStatus.COMPLETED,
    ]
    assert [contents["step"] for contents in kept(pack)] == [30, 10, 30]
    assert alone(pack.members[1]).resumed_from == 10


def test_the_best_checkpoint_is_the_one_that_the_record_names(tmp_path: Path) -> None:
    pack = of(tmp_path / "one", *ALL)
    records = attempt(pack)
    assert [contents["step"] for contents in kept(pack, BEST)] == [r.best and r.best.step for r in records]


def test_the_models_of_the_best_evaluations_are_kept_as_alone(tmp_path: Path) -> None:
    pack = of(tmp_path / "pack", *ALL, common={"keep_best_checkpoints": 2})
    apart = of(tmp_path / "apart", *ALL, common={"keep_best_checkpoints": 2})
    attempt(pack)
    for packed, trial in zip(pack.members, apart.members, strict=True):
        alone(trial)
        names = [sorted(path.name for path in Path(str(t.checkpoint_dir)).iterdir()) for t in (packed, trial)]
        assert names[0] == names[1]
        assert len(names[0]) == 4
        one, other = (torch.load(Path(str(t.checkpoint_dir)) / BEST, weights_only=True) for t in (packed, trial))
        assert one.keys() == other.keys()
        assert one["metrics"].keys() == other["metrics"].keys()
        for name, value in one["model"].items():
            torch.testing.assert_close(value, other["model"][name], rtol=1e-3, atol=1e-5)
