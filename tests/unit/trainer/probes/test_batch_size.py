"""A sweep over batch sizes ends where memory or the gain does, and each size has a process of its own."""

import json
import subprocess

import pytest

from tests.unit.trainer.needs_torch import torch
from tuning_contract.diagnostics import Throughput
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.probes.__main__ import main
from tuning_trainer.probes.batch_size import ProbeError, in_a_fresh_process, one_size, sweep, table


@pytest.mark.parametrize(
    ("rates", "measured"),
    [
        ({1: 100.0, 2: 200.0, 4: 400.0, 8: None, 16: 1.0}, 4),  # out of memory
        ({1: 100.0, 2: 200.0, 4: 209.0, 8: 400.0}, 3),  # less than 5 % gained
        ({1: 100.0, 2: 200.0, 4: 150.0, 8: 400.0}, 3),
        ({1: 100.0, 2: 105.0, 4: 110.25, 8: 100.0, 16: 1.0}, 4),
        ({1: None, 2: 1.0}, 1),
    ],
)
def test_the_sweep_ends_where_memory_or_the_gain_does(rates: dict[int, float | None], measured: int) -> None:
    found = sweep(lambda size: Throughput(size, rates[size]))
    assert [(one.batch_size, one.examples_per_second) for one in found] == list(rates.items())[:measured]


def test_the_sweep_ends_at_the_largest_size_and_begins_at_the_smallest() -> None:
    found = sweep(lambda size: Throughput(size, float(size)), smallest=3, largest=20)
    assert [one.batch_size for one in found] == [3, 6, 12]


def test_the_table() -> None:
    text = table([Throughput(64, 1000.0), Throughput(128, 1900.0), Throughput(256, None)])
    assert [line.split() for line in text.splitlines()] == [
        ["batch", "size", "examples/s", "ms/step", "factor"],
        ["64", "1000", "64.00"],
        ["128", "1900", "67.37", "1.90"],
        ["256", "out", "of", "memory"],
    ]


def test_a_figure_says_what_it_holds_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning_trainer.probes.throughput.WINDOW_SECONDS", 0.001)
    told = one_size({"workload": "tabular", "batch_size": 8, "optimizer": "adam"})
    assert told["throughput"]["batchSize"] == 8
    key = told["key"]
    assert (key["workload"], key["optimizer"], key["precision"]) == ("tabular", "adam", "float32")
    assert key["device"] == ("cpu" if not torch.cuda.is_available() else torch.cuda.get_device_name())


class Done:
    def __init__(self, returncode: int, stdout: str = "", stderr: str = "") -> None:
        self.returncode, self.stdout, self.stderr = returncode, stdout, stderr


@pytest.mark.parametrize(
    ("done", "rate"),
    [
        (Done(0, json.dumps({"throughput": {"batchSize": 8, "examplesPerSecond": 5.0}})), 5.0),
        (Done(101, stderr="out of memory"), None),
        (Done(-9), None),
    ],
)
def test_what_a_process_says(monkeypatch: pytest.MonkeyPatch, done: Done, rate: float | None) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert in_a_fresh_process({}, 8) == Throughput(8, rate)


def test_a_process_that_fails_in_another_way_is_told() -> None:
    with pytest.raises(ProbeError, match="unknown parameter 'lr'"):
        in_a_fresh_process({"lr": 1}, 8)


def test_impossible_parameters_are_told_as_by_the_trainer(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigurationError):
        one_size({"lr": 1})
    assert main(["throughput", "--set", "lr=1"]) == 78
    assert "unknown parameter 'lr'" in capsys.readouterr().err
