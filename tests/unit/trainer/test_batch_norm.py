"""A model with batch norm, which only a user's own workload has: in one process and in two, averaged, kept, resumed."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.trainer.forked import in_two_processes
from tests.unit.trainer.needs_torch import torch
from tuning_trainer.evaluation import evaluate
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.parallel import ALONE, Processes, require_common_buffers, together
from tuning_trainer.parameters import Parameters
from tuning_trainer.run import Run
from tuning_trainer.workloads.layers import GhostBatchNorm
from tuning_trainer.workloads.workload import Classification, Workload

PARAMETERS = Parameters(batch_size=16, learning_rate=0.05, evaluate_every_steps=5, max_steps=20, dense_loss_steps=20)
MEAN = "1.running_mean"
Norm = Callable[[int], torch.nn.Module]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def a_workload(norm: Norm) -> Workload:
    generator = torch.Generator().manual_seed(0)
    inputs = 3 * torch.randn(96, 4, generator=generator) + 1
    examples = (inputs, (inputs.sum(dim=1) > 4).long())

    def make_model() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(4, 8), norm(8), torch.nn.ReLU(), torch.nn.Linear(8, 2))

    return Workload(examples, examples, make_model, Classification(("a", "b")))


def a_run(norm: Norm = torch.nn.BatchNorm1d, parameters: Parameters = PARAMETERS, processes: Processes = ALONE) -> Run:
    return Run.fresh(parameters, 0, a_workload(norm), processes=processes)


def after(steps: int, run: Run) -> Run:
    while run.step < steps:
        run.take_step()
    return run


def ghost(features: int) -> GhostBatchNorm:
    return GhostBatchNorm(features, 4)


def loss_of(model: dict[str, torch.Tensor]) -> float:
    """Return the loss of a model that somebody loads by its names, as from a checkpoint."""
    workload = a_workload(torch.nn.BatchNorm1d)
    loaded = workload.make_model().eval()
    loaded.load_state_dict(model)
    return evaluate(loaded, workload.validation, workload.task).loss


class TestInOneProcess:
    def test_the_moving_statistics_are_those_of_pytorch_and_survive_an_evaluation(self) -> None:
        run = a_run()
        inputs = run.model[0](run.batches.share_of(0)[0])
        run.take_step()
        expected = 0.1 * inputs.mean(dim=0)
        run.evaluate()
        torch.testing.assert_close(run.model[1].running_mean, expected)
        torch.testing.assert_close(run.statistics.values[:8], expected)
        assert len(run.statistics.values) == 16

    def test_averaged_weights_are_measured_with_averaged_statistics(self) -> None:
        run = a_run(parameters=replace(PARAMETERS, ema_decay=0.9))
        expected, steps = torch.zeros(8), 12
        for step in range(1, steps + 1):
            run.take_step()
            expected.lerp_(run.model[1].running_mean, 1 - min(0.9, (1 + step) / (10 + step)))
        model = run.evaluated_model()
        torch.testing.assert_close(model[MEAN], expected)
        assert not torch.allclose(model[MEAN], run.model[1].running_mean)
        assert run.evaluate()["validation_loss"] == pytest.approx(loss_of(model), rel=1e-6)

    @pytest.mark.parametrize("ema_decay", [0.0, 0.9])
    def test_the_best_weights_are_measured_at_the_end_with_their_own_statistics(self, ema_decay: float) -> None:
        run = after(5, a_run(parameters=replace(PARAMETERS, ema_decay=ema_decay)))
        metrics = run.evaluate()
        run.keep_as_best()
        after(20, run)
        told = run.final_diagnostics()
        assert told.full_evaluation is not None
        assert told.full_evaluation.error == metrics["validation_error"] != run.evaluate()["validation_error"]

    def test_a_run_that_is_restored_goes_on_bit_for_bit(self) -> None:
        parameters = replace(PARAMETERS, ema_decay=0.9)
        run = after(7, a_run(parameters=parameters))
        again = a_run(parameters=parameters)
        again.restore(run.contents())
        states = [after(20, one).evaluated_model() for one in (run, again)]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def _curve(_: int, norm: Norm, parameters: Parameters) -> tuple[list[float], list[float]]:
    """Return the loss of each step and of the last evaluation, and the statistics of that."""
    torch.set_num_threads(1)
    with together() as processes:
        return curve_of(a_run(norm, parameters, processes))


def curve_of(run: Run) -> tuple[list[float], list[float]]:
    metrics = after(20, run).evaluate()
    losses = [*run.log.dense_loss, metrics["train_loss"], metrics["validation_loss"]]
    return losses, run.evaluated_model()[MEAN].tolist()


class Counting(torch.nn.BatchNorm1d):  # type: ignore[misc]
    """A batch norm with a buffer of its own that learns from examples, and one that does not."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.register_buffer("largest", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.largest.copy_(inputs.detach().max())
        return super().forward(inputs)


def _refusal(_: int, norm: Norm) -> str:
    with together() as processes:
        run = after(5, a_run(norm, PARAMETERS, processes))
        try:
            require_common_buffers(run.model, processes)
        except ConfigurationError as error:
            return str(error)
    return ""


class TestInTwoProcesses:
    @pytest.mark.parametrize("ema_decay", [0.0, 0.9])
    def test_ghost_batch_norm_learns_and_evaluates_what_one_process_does(self, ema_decay: float) -> None:
        parameters = replace(PARAMETERS, ema_decay=ema_decay)
        first, second = in_two_processes(_curve, ghost, parameters)
        assert first == second, "the processes tell of different models"
        losses, statistics = curve_of(a_run(ghost, parameters))
        assert first[0] == pytest.approx(losses, rel=1e-4)
        assert first[1] == pytest.approx(statistics, rel=1e-4)

    def test_plain_batch_norm_is_one_model_too_though_another_than_in_one_process(self) -> None:
        first, second = in_two_processes(_curve, torch.nn.BatchNorm1d, PARAMETERS)
        assert first == second
        assert first[0] != pytest.approx(curve_of(a_run())[0], rel=1e-3)

    def test_a_buffer_that_each_process_learns_for_itself_is_refused_by_name(self) -> None:
        first, second = in_two_processes(_refusal, Counting)
        assert first == second
        assert first.startswith("the model's buffers 1.largest differ between the processes")
        assert in_two_processes(_refusal, torch.nn.BatchNorm1d) == ["", ""]
