"""The callback for PyTorch Lightning: its trials end, resume and report as those of our own loop do."""

from pathlib import Path

import pytest

from tests.unit.trainer.forked import in_a_process, in_two_processes
from tests.unit.trainer.lightning_runs import BATCHES, VALIDATED, Run, fit
from tests.unit.trainer.needs_lightning import torch
from tests.unit.trainer.processes import a_trial, record_of
from tuning_contract.environment import INSTABILITY_PROBES, TrialEnvironment
from tuning_contract.exit_codes import ExitCode
from tuning_contract.record import FinalRecord, RecordStatus

DIGITS = 1e-3
"""Of what a record keeps of a number, at least."""


def attempt(trial: TrialEnvironment, run: Run | None = None) -> tuple[int, FinalRecord]:
    """Train; return exit code and record."""
    Path(trial.termination_log).write_bytes(b"")
    code: int = in_a_process(fit, trial, run or Run())
    return code, record_of(trial)


def weights(steps: int, learning_rate: float = 0.1) -> list[float]:
    """Return the weight before each step and after the last."""
    result = [0.0]
    for _ in range(steps):
        result.append(result[-1] - learning_rate * 2 * (result[-1] - 3))
    return result


class TestReports:
    def test_each_validation_has_what_the_module_logs_and_what_the_steps_before_it_were_like(
        self, tmp_path: Path
    ) -> None:
        code, record = attempt(a_trial(tmp_path))
        w = weights(16)
        losses = [(weight - 3) ** 2 for weight in w]
        norms = [2 * abs(weight - 3) for weight in w]
        assert (code, record.status) == (0, RecordStatus.COMPLETED)
        assert [point.step for point in record.curve.points] == VALIDATED
        assert record.curve.series("validation_loss") == pytest.approx([losses[step] for step in VALIDATED], rel=DIGITS)
        means = [sum(losses[step - 4 : step]) / 4 for step in VALIDATED]
        assert record.curve.series("train_loss") == pytest.approx(means, rel=DIGITS)
        assert record.curve.series("grad_norm") == pytest.approx([norms[step - 1] for step in VALIDATED], rel=DIGITS)
        assert record.curve.series("learning_rate") == (0.1,) * 4
        assert record.curve.series("clipped_fraction") == (0.0,) * 4
        assert all(rate and rate > 0 for rate in record.curve.series("examples_per_second"))
        assert all(share is not None and 0 <= share <= 1 for share in record.curve.series("data_wait_fraction"))
        assert record.diagnostics.grad_norm_histogram is not None
        assert sum(record.diagnostics.grad_norm_histogram.counts.values()) == 16

    def test_with_accumulated_and_clipped_gradients_a_step_is_still_a_step(self, tmp_path: Path) -> None:
        run = Run(learning_rate=0.01, trainer={"accumulate_grad_batches": 2, "gradient_clip_val": 5.9})
        _, record = attempt(a_trial(tmp_path), run)
        assert [point.step for point in record.curve.points] == [2, 4, 6, 8]
        # At first the norm is 6: the weight goes by 5.9 hundredths.
        assert record.curve.series("train_loss")[0] == pytest.approx((9 + (3 - 0.059) ** 2) / 2, rel=DIGITS)
        assert record.curve.series("grad_norm")[0] == pytest.approx(2 * (3 - 0.059), rel=DIGITS)
        assert record.curve.series("clipped_fraction") == (0.5, 0.0, 0.0, 0.0)

    def test_what_is_clipped_in_another_way_is_not_told_as_unclipped(self, tmp_path: Path) -> None:
        options = {"gradient_clip_val": 1.0, "gradient_clip_algorithm": "value"}
        _, record = attempt(a_trial(tmp_path), Run(trainer=options))
        assert "clipped_fraction" not in record.curve.metrics

    def test_a_probe_has_the_loss_of_each_of_its_steps(self, tmp_path: Path) -> None:
        _, record = attempt(a_trial(tmp_path, purpose=INSTABILITY_PROBES[0]))
        expected = [(weight - 3) ** 2 for weight in weights(16)[:-1]]
        assert record.diagnostics.dense_loss == pytest.approx(expected, rel=DIGITS)

    def test_the_package_pytorch_lightning_does_as_well(self, tmp_path: Path) -> None:
        code, record = attempt(a_trial(tmp_path), Run(package="pytorch_lightning"))
        assert (code, [point.step for point in record.curve.points]) == (0, VALIDATED)

    def test_a_test_after_the_run_changes_nothing_of_its_record(self, tmp_path: Path) -> None:
        code, record = attempt(a_trial(tmp_path), Run(then="test"))
        assert (code, record.status, record.last and record.last.step) == (0, RecordStatus.COMPLETED, VALIDATED[-1])


class TestEndings:
    @pytest.mark.parametrize(
        ("run", "code", "status", "reason"),
        [
            (Run(learning_rate=1e30), ExitCode.DIVERGED, RecordStatus.INFEASIBLE, "NonFiniteObjective"),
            (
                Run(fails_with=torch.OutOfMemoryError("CUDA out of memory")),
                ExitCode.OUT_OF_MEMORY,
                RecordStatus.INFEASIBLE,
                "OutOfMemory",
            ),
            (Run(logs="loss"), ExitCode.BAD_CONFIGURATION, RecordStatus.RUNNING, "BadConfiguration"),
        ],
    )
    def test_what_is_no_result_and_no_crash_has_its_own_exit_code(
        self, tmp_path: Path, run: Run, code: ExitCode, status: RecordStatus, reason: str
    ) -> None:
        ended, record = attempt(a_trial(tmp_path), run)
        assert (ended, record.status, record.reason) == (code, status, reason)

    def test_a_divergence_says_where_it_began(self, tmp_path: Path) -> None:
        _, record = attempt(a_trial(tmp_path, purpose=INSTABILITY_PROBES[0]), Run(learning_rate=1e30))
        assert len(record.diagnostics.dense_loss) == 4
        assert "train_loss is nan at step 4; first at step 2" in record.message

    def test_a_crash_leaves_its_reason_and_no_result(self, tmp_path: Path) -> None:
        trial = a_trial(tmp_path)
        with pytest.raises(AssertionError, match="ZeroDivisionError: mine"):
            attempt(trial, Run(fails_with=ZeroDivisionError("mine")))
        record = record_of(trial)
        assert (record.status, record.reason) == (RecordStatus.RUNNING, "Crashed")
        assert record.message == "ZeroDivisionError: mine"


class TestInterruptions:
    @pytest.mark.parametrize(
        ("hook", "call"),
        [
            ("setup", 1),
            ("on_sanity_check_start", 1),
            ("on_train_batch_start", 6),
            ("on_train_batch_end", 3),
            ("on_train_batch_end", 4),
            ("on_train_batch_end", 8),
            ("on_validation_batch_end", 5),
            ("on_validation_end", 2),
            ("on_train_epoch_end", 1),
            ("on_train_batch_start", 16),
        ],
    )
    def test_whenever_a_signal_comes_the_trial_is_the_uninterrupted_one(
        self, tmp_path: Path, hook: str, call: int
    ) -> None:
        """Also in the middle of a validation, which is brought to its end, and at the end of an epoch."""
        code, stopped = attempt(a_trial(tmp_path), Run(kill=(hook, call)))
        assert (code, stopped.status) == (ExitCode.INTERRUPTED, RecordStatus.INTERRUPTED)
        code, record = attempt(a_trial(tmp_path, attempt=1))
        assert (code, record.status) == (0, RecordStatus.COMPLETED)
        assert stopped.message == f"stopped after step {record.resumed_from or 0}"
        assert [point.step for point in record.curve.points] == VALIDATED
        assert record.last is not None
        assert record.last.value == pytest.approx((weights(16)[-1] - 3) ** 2, rel=1e-4)
        assert record.diagnostics.grad_norm_histogram is not None
        assert sum(record.diagnostics.grad_norm_histogram.counts.values()) == 16

    def test_after_the_last_step_there_is_nothing_left_to_interrupt(self, tmp_path: Path) -> None:
        code, record = attempt(a_trial(tmp_path), Run(kill=("on_train_batch_end", 2 * BATCHES)))
        assert (code, record.status) == (0, RecordStatus.COMPLETED)

    def test_an_attempt_after_the_end_has_the_same_result(self, tmp_path: Path) -> None:
        """As where a pod is lost between its last checkpoint and the news of it."""
        _, first = attempt(a_trial(tmp_path))
        code, record = attempt(a_trial(tmp_path, attempt=1))
        assert (code, record.status) == (0, RecordStatus.COMPLETED)
        assert (record.last, record.curve.points) == (first.last, first.curve.points)

    def test_without_a_checkpoint_directory_it_is_no_success_either(self, tmp_path: Path) -> None:
        code, record = attempt(a_trial(tmp_path, checkpoints=False), Run(kill=("on_train_batch_end", 3)))
        assert (code, record.status) == (ExitCode.INTERRUPTED, RecordStatus.INTERRUPTED)
        assert not (tmp_path / "checkpoints").exists()

    def test_of_several_processes_one_hears_it_and_all_stop_and_one_reports(self, tmp_path: Path) -> None:
        options = {"devices": 2, "strategy": "ddp"}
        for number, kill in enumerate((("on_validation_batch_end", 5), None)):
            trial = a_trial(tmp_path, attempt=number)
            Path(trial.termination_log).write_bytes(b"")
            codes = in_two_processes(fit, trial, Run(kill=kill, trainer=options))
            assert codes == [ExitCode.INTERRUPTED if kill else 0] * 2
        record = record_of(trial)
        assert (record.status, record.resumed_from) == (RecordStatus.COMPLETED, 4)
        assert [point.step for point in record.curve.points] == VALIDATED
