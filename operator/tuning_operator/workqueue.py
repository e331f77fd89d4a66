"""A queue of keys: each waits at most once, is worked on by one worker at a time, and comes back after an error.

A key that is added while it is worked on is worked on once more afterwards, so no change is missed however many come.
"""

import asyncio
import heapq
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

FIRST_BACKOFF = 0.2
LONGEST_BACKOFF = 60.0
SPARE = 64
"""So many entries that are out of date are carried along before they are thrown out."""


class WorkQueue(Generic[Key]):
    """A deduplicating queue with delays and per-key exponential backoff. For one event loop."""

    def __init__(self) -> None:
        self._ready: dict[Key, float] = {}
        """Keys that wait to be worked on, oldest first, with the moment when they became ready."""
        self._delayed: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        """The earliest moment at which each delayed key is due; a later entry in the heap is out of date."""
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._numbers = itertools.count()
        self._changed = asyncio.Event()

    def add(self, key: Key) -> None:
        """Have a key worked on as soon as possible."""
        if key in self._working:
            self._again.add(key)
            return
        self._due.pop(key, None)
        self._ready.setdefault(key, time.monotonic())
        self._changed.set()

    def add_after(self, key: Key, delay: timedelta) -> None:
        """Have a key worked on after a while, or earlier where something else asks for it."""
        due = time.monotonic() + delay.total_seconds()
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        if len(self._delayed) > 2 * len(self._due) + SPARE:
            # Each event that comes before a delay is over leaves an entry that nobody waits for any more.
            self._delayed = [entry for entry in self._delayed if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._delayed)
        heapq.heappush(self._delayed, (due, next(self._numbers), key))
        self._changed.set()

    @property
    def depth(self) -> int:
        """How many keys are ready and wait for a worker."""
        return len(self._ready)

    @property
    def oldest(self) -> float:
        """How many seconds the key that has waited longest has waited."""
        return max((time.monotonic() - since for since in self._ready.values()), default=0.0)

    async def work(self, handle: Callable[[Key], Awaitable[timedelta | None]]) -> None:
        """Work on keys for ever. Several workers may run side by side.

        Args:
            handle: returns after how long the key is due again; None: when it is added. After an exception the key
                comes back with a backoff that doubles; what to log is the handler's business.
        """
        while True:
            key = await self._next()
            self._working.add(key)
            try:
                delay = await handle(key)
            except Exception:  # the handler has logged it; whatever it was, the key must come back
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                backoff = min(FIRST_BACKOFF * 2 ** min(failures - 1, 20), LONGEST_BACKOFF)
                # Jitter, so that many keys that failed at once do not come back at once.
                delay = timedelta(seconds=backoff * random.uniform(0.5, 1.0))  # noqa: S311
            else:
                self._failures.pop(key, None)
            finally:
                self._working.discard(key)
            if key in self._again:
                self._again.discard(key)
                if key not in self._failures:
                    self.add(key)
            if delay is not None:
                self.add_after(key, delay)

    async def _next(self) -> Key:
        while True:
            self._move_due()
            if self._ready:
                key = next(iter(self._ready))
                del self._ready[key]
                return key
            self._changed.clear()
            wait = self._delayed[0][0] - time.monotonic() if self._delayed else None
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _move_due(self) -> None:
        now = time.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            due, _, key = heapq.heappop(self._delayed)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
