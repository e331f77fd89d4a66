"""How many trials a minute several processes train side by side on one device, each one trial after the other.

That is what people do without population mode: more pods on one GPU, by time-slicing or MPS.
"""

import multiprocessing
from collections.abc import Iterable, Iterator
from multiprocessing.synchronize import Barrier

from benchmarks.trainer import ours
from benchmarks.trainer.clock import clock
from benchmarks.trainer.populations import ONE_BY_ONE, Rate, given, peak_memory

Finished = tuple[float, float, list[float], float]
"""When a process began and ended by its clock, the losses of its trials, and its peak memory."""


def side_by_side(workload: str, steps: int, counts: Iterable[int], trials_each: int) -> Iterator[Rate]:
    """Measure so many processes at once, each with `trials_each` trials.

    On a GPU the time is from the first one's beginning to the last one's end, by the wall. On a CPU it is what all of
    them computed for, by one thread: there, processes side by side gain by the number of cores and by nothing else.
    """
    context = multiprocessing.get_context("spawn")  # a CUDA context does not survive a fork
    for count in counts:
        together = context.Barrier(count)
        tasks = [(workload, steps, n * trials_each, trials_each) for n in range(count)]
        with context.Pool(count, initializer=_wait_for_all_with, initargs=(together,)) as pool:
            finished: list[Finished] = pool.starmap(_one_by_one, tasks, chunksize=1)
        if clock().is_wall:
            seconds = max(end for _, end, _, _ in finished) - min(begin for begin, _, _, _ in finished)
        else:
            seconds = sum(end - begin for begin, end, _, _ in finished)
        losses = [loss for _, _, found, _ in finished for loss in found]
        memory = sum(peak for _, _, _, peak in finished)
        yield Rate(workload, ONE_BY_ONE, steps, len(losses), seconds, losses, memory, processes=count)


_together: Barrier


def _wait_for_all_with(together: Barrier) -> None:
    global _together
    _together = together


def _one_by_one(workload: str, steps: int, first: int, trials: int) -> Finished:
    ours.trial(given(workload, 2, 0), 0)
    now = clock().now
    _together.wait()
    began = now()
    losses = [ours.trial(given(workload, steps, n), n) for n in range(first, first + trials)]
    return began, now(), losses, peak_memory()
