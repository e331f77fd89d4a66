"""Precision, compilation and the place of the examples: what they change and what they must not."""

import functools
from pathlib import Path

import pytest

from tests.unit.trainer.needs_torch import torch
from tests.unit.trainer.processes import a_trial
from tests.unit.trainer.stops import StopBeforeStep
from tests.unit.trainer.test_training import SHORT, a_run, attempt, same_weights, weights_in
from tuning_contract.environment import ParameterValue
from tuning_trainer.endings import InterruptionError
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.parameters import WORKLOADS, Parameters


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have torch.compile trace and differentiate as always, and generate no C++, for which there may be no compiler."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))


class TestBfloat16:
    def test_the_digits_are_learned(self) -> None:
        run = a_run(precision="bfloat16", max_steps=200)
        for _ in range(200):
            run.take_step()
        metrics = run.evaluate()
        assert metrics["validation_error"] < 0.06
        assert metrics["validation_loss"] < 0.25

    @pytest.mark.parametrize("workload", WORKLOADS)
    def test_weights_gradient_and_what_is_told_stay_float32(self, workload: str) -> None:
        run = a_run(precision="bfloat16", workload=workload, evaluation_examples=64)
        run.take_step()
        assert run.weights.values.dtype == run.weights.gradient.dtype == torch.float32
        assert run.forward(run.workload.train[0][:2]).dtype == torch.float32

    def test_steps_and_evaluations_are_computed_in_it(self) -> None:
        one, other = a_run(), a_run(precision="bfloat16")
        losses = [run.measure(run.workload.validation).loss for run in (one, other)]
        assert losses[0] != losses[1]
        assert losses[0] == pytest.approx(losses[1], rel=0.02)
        for run in (one, other):
            run.take_step()
        gradients = [run.weights.gradient for run in (one, other)]
        assert not torch.equal(*gradients)
        assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.99

    @pytest.mark.parametrize("changes", [{}, {"workload": "characters", "hidden_width": 16, "evaluation_examples": 32}])
    def test_an_interrupted_run_goes_on_bit_for_bit(self, tmp_path: Path, changes: dict[str, ParameterValue]) -> None:
        resumes_bit_for_bit(tmp_path, SHORT | {"precision": "bfloat16"} | changes)


def resumes_bit_for_bit(tmp_path: Path, parameters: dict[str, ParameterValue]) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for directory in (whole, parts):
        directory.mkdir()
    expected = attempt(a_trial(whole, parameters=parameters))
    with pytest.raises(InterruptionError):
        attempt(a_trial(parts, parameters=parameters), StopBeforeStep(13))
    again = attempt(a_trial(parts, parameters=parameters, attempt=1))
    assert (again.resumed_from, again.best, again.last) == (13, expected.best, expected.last)
    assert same_weights(weights_in(parts), weights_in(whole))


class TestCompile:
    def test_without_a_compiler_it_is_refused_with_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(_: object) -> object:
            raise RuntimeError("backend='inductor' raised:\nNo working C++ compiler found\n\nSet TORCH_LOGS")

        monkeypatch.setattr(torch, "compile", fails)
        with pytest.raises(ConfigurationError, match=r"raised: No working C\+\+ compiler found\): build the image on"):
            a_run(compile=True)

    @pytest.mark.usefixtures("a_compiler")
    @pytest.mark.parametrize("workload", ["digits", "tabular"])
    def test_it_changes_no_weight_beyond_rounding(self, workload: str) -> None:
        plain, compiled = a_run(workload=workload), a_run(workload=workload, compile=True)
        assert compiled.forward is not compiled.model
        for run in (plain, compiled):
            for _ in range(3):
                run.take_step()
        assert torch.allclose(plain.weights.values, compiled.weights.values, atol=1e-5)
        assert plain.model.state_dict().keys() == compiled.model.state_dict().keys()

    @pytest.mark.usefixtures("a_compiler")
    def test_an_interrupted_run_goes_on_bit_for_bit(self, tmp_path: Path) -> None:
        resumes_bit_for_bit(tmp_path, SHORT | {"compile": "true", "workload": "tabular"})

    @pytest.mark.parametrize(("value", "read"), [(True, True), ("true", True), (False, False), ("false", False)])
    def test_true_and_false_may_be_words_as_in_a_study(self, value: ParameterValue, read: bool) -> None:
        assert Parameters.from_mapping({"compile": value}).compile is read

    @pytest.mark.parametrize("value", [1, 0, "yes", 0.5])
    def test_nothing_else_is_true_or_false(self, value: ParameterValue) -> None:
        with pytest.raises(ConfigurationError, match=r"compile is .*; it must be one of true, false"):
            Parameters.from_mapping({"compile": value})


def test_examples_in_the_hosts_memory_are_the_same_examples() -> None:
    runs = [a_run(examples_on=place, workload="tabular", dense_loss_steps=10) for place in ("device", "host")]
    for run in runs:
        for _ in range(10):
            run.take_step()
        run.evaluate()
    assert runs[0].log.dense_loss == runs[1].log.dense_loss
