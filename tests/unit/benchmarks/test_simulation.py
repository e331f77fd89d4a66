"""Trials run in parallel and end out of order; every contestant meets the same durations and the same noise."""

from benchmarks.search.problems.problem import Problem, absolute_noise, arm_of, levels, real
from benchmarks.search.simulation import Run, simulate
from tuning_operator.search.sequence import ExhaustedError
from tuning_operator.search.space import Assignment


class Recorder:
    """Asks for points along a line, and remembers what it is told."""

    def __init__(self, points: int = 1_000) -> None:
        self.points = points
        self.running: set[int] = set()
        self.most_running = 0
        self.told: dict[int, float | None] = {}

    def ask(self, number: int) -> Assignment:
        if number >= self.points:
            raise ExhaustedError("no more")
        self.running.add(number)
        self.most_running = max(self.most_running, len(self.running))
        return {"x": number / 1_000}

    def tell(self, number: int, loss: float | None) -> None:
        self.running.remove(number)
        self.told[number] = loss


LINE = Problem(
    "line",
    "T",
    arm_of(real("x", 0, 1)),
    truth=lambda point: None if float(point["x"]) > 0.04 else float(point["x"]),
    noise=absolute_noise(0.1),
)


def run(recorder: Recorder, trials: int = 50, seed: int = 0) -> Run:
    return simulate(LINE, recorder, trials, seed)


def test_as_many_trials_run_as_are_allowed_and_all_end() -> None:
    recorder = Recorder()
    result = run(recorder)
    assert recorder.most_running == 8
    assert not recorder.running
    assert sorted(e.number for e in result.endings) == list(range(50))
    assert len(result.seconds) == 50


def test_results_arrive_out_of_order() -> None:
    numbers = [e.number for e in run(Recorder()).endings]
    assert numbers != sorted(numbers)


def test_a_trial_is_equally_lucky_in_every_run_of_a_seed() -> None:
    first, second, other = Recorder(), Recorder(), Recorder()
    assert run(first).endings == run(second).endings
    assert run(other, seed=1).endings != run(Recorder()).endings
    assert first.told == second.told != other.told


def test_what_is_infeasible_is_told_so_and_what_is_noisy_is_noisy() -> None:
    recorder = Recorder()
    endings = run(recorder).endings
    assert {n for n, loss in recorder.told.items() if loss is None} == set(range(41, 50))
    assert all(e.truth != e.measured for e in endings if e.truth is not None)


def test_an_exhausted_contestant_ends_its_run() -> None:
    assert len(run(Recorder(points=11)).endings) == 11


def test_a_run_that_is_watched_for_fewer_trials_is_the_beginning_of_the_whole_run() -> None:
    beginning = simulate(LINE, Recorder(), 50, seed=0, watched=20).endings
    assert beginning == run(Recorder()).endings[:20]
    assert max(e.number for e in beginning) >= 20
    assert beginning != run(Recorder(), trials=20).endings


def test_levels_are_the_values_that_the_trial_receives() -> None:
    (hyperparameter,) = arm_of(levels("rate", [0.1, 1e-5])).dimensions
    assert hyperparameter.values == ["0.1", "1e-05"]
