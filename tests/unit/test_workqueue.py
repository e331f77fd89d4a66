"""The queue: every key once, one worker a key, no change missed, and errors come back. No test looks at a clock."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from tuning_operator import workqueue
from tuning_operator.workqueue import WorkQueue

Handle = Callable[[str], Awaitable[timedelta | None]]
NEVER = timedelta(hours=1)


@asynccontextmanager
async def working(queue: WorkQueue[str], handle: Handle, workers: int = 2) -> AsyncIterator[None]:
    """Have workers work on the queue."""
    tasks = [asyncio.create_task(queue.work(handle)) for _ in range(workers)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def settled() -> None:
    """Let everything happen that can happen now."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors come back at once."""
    monkeypatch.setattr(workqueue, "FIRST_BACKOFF", 0.0)


async def test_a_key_that_is_added_often_is_worked_on_once() -> None:
    seen: Counter[str] = Counter()

    async def handle(key: str) -> None:
        seen[key] += 1

    queue = WorkQueue[str]()
    for key in "abab":
        queue.add(key)
    assert queue.depth == 2
    async with working(queue, handle):
        await settled()
    assert seen == {"a": 1, "b": 1}
    assert (queue.depth, queue.oldest) == (0, 0.0)


async def test_a_key_that_changes_while_it_is_worked_on_is_worked_on_once_more_and_never_twice_at_once() -> None:
    begun, go_on = asyncio.Semaphore(0), asyncio.Event()
    at_once: Counter[str] = Counter()
    seen: Counter[str] = Counter()

    async def handle(key: str) -> None:
        at_once[key] += 1
        assert at_once[key] == 1
        seen[key] += 1
        begun.release()
        await go_on.wait()
        at_once[key] -= 1

    queue = WorkQueue[str]()
    queue.add("a")
    async with working(queue, handle, workers=4):
        await begun.acquire()
        for _ in range(5):
            queue.add("a")
        queue.add("b")
        await begun.acquire()
        assert seen == {"a": 1, "b": 1}
        go_on.set()
        await settled()
    assert seen == {"a": 2, "b": 1}


async def test_after_an_error_a_key_comes_back(fast: None) -> None:
    outcomes: list[BaseException | None] = [ValueError(), OSError(), None]
    seen: list[str] = []
    done = asyncio.Event()

    async def handle(key: str) -> None:
        seen.append(key)
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome
        done.set()

    queue = WorkQueue[str]()
    queue.add("a")
    async with working(queue, handle):
        await asyncio.wait_for(done.wait(), 10)
    assert seen == ["a", "a", "a"]


async def test_the_waits_after_errors_double_up_to_a_bound_and_start_anew_after_a_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    fails = [True] * 12 + [False, True]

    class Recorded(WorkQueue[str]):
        def add_after(self, key: str, delay: timedelta) -> None:
            waits.append(delay.total_seconds())
            self.add(key)

    monkeypatch.setattr("random.uniform", lambda low, high: high)
    done = asyncio.Event()

    async def handle(_: str) -> timedelta | None:
        if not fails:
            done.set()
            await asyncio.Event().wait()
        if fails.pop(0):
            raise ValueError
        return timedelta(0)

    queue = Recorded()
    queue.add("a")
    async with working(queue, handle, workers=1):
        await asyncio.wait_for(done.wait(), 10)
    doubling = [workqueue.FIRST_BACKOFF * 2**n for n in range(12)]
    expected = [min(wait, workqueue.LONGEST_BACKOFF) for wait in doubling]
    assert waits == [*expected, 0.0, workqueue.FIRST_BACKOFF]


async def test_a_key_that_changed_during_a_failure_waits_for_its_backoff() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    seen = 0

    async def handle(_: str) -> None:
        nonlocal seen
        seen += 1
        begun.set()
        await go_on.wait()
        raise ValueError

    queue = WorkQueue[str]()
    queue.add("a")
    async with working(queue, handle):
        await begun.wait()
        queue.add("a")
        go_on.set()
        await settled()
    assert seen == 1


async def test_what_is_due_later_waits_and_an_event_brings_it_forward() -> None:
    seen = 0

    async def handle(_: str) -> timedelta:
        nonlocal seen
        seen += 1
        return NEVER

    queue = WorkQueue[str]()
    queue.add_after("a", NEVER)
    async with working(queue, handle):
        await settled()
        assert seen == 0
        queue.add("a")
        await settled()
        assert seen == 1


async def test_of_two_delays_the_earlier_one_counts() -> None:
    done = asyncio.Event()

    async def handle(_: str) -> None:
        done.set()

    queue = WorkQueue[str]()
    queue.add_after("a", NEVER)
    queue.add_after("a", timedelta(0))
    queue.add_after("a", NEVER)
    async with working(queue, handle):
        await asyncio.wait_for(done.wait(), 10)


async def test_asking_again_and_again_for_later_keeps_no_growing_list() -> None:
    async def handle(_: str) -> timedelta:
        return NEVER

    queue = WorkQueue[str]()
    async with working(queue, handle, workers=1):
        for _ in range(300):
            queue.add("a")
            await settled()
    assert len(queue._delayed) < 100


async def test_workers_are_shared_fairly() -> None:
    order: list[str] = []

    async def handle(key: str) -> timedelta | None:
        order.append(key)
        return timedelta(0) if key == "busy" and len(order) < 20 else None

    queue = WorkQueue[str]()
    queue.add("busy")
    queue.add("quiet")
    async with working(queue, handle, workers=1):
        await settled()
    assert "quiet" in order[:2]


async def test_cancelled_workers_end() -> None:
    begun = asyncio.Event()

    async def handle(_: str) -> None:
        begun.set()
        await asyncio.Event().wait()

    queue = WorkQueue[str]()
    queue.add("a")
    task = asyncio.create_task(queue.work(handle))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
