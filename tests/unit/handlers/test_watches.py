"""The doors: which kopf handlers there are, and that kopf is told to write nothing and to wait for ever."""

import asyncio
import itertools
import threading
from collections.abc import Callable
from typing import Any

import kopf
import pytest

from tuning_operator.api import names
from tuning_operator.handlers import watches as watches_module
from tuning_operator.handlers.watches import Endless, Watches, registry, settings


def test_only_low_level_handlers_are_registered() -> None:
    handlers = registry(lambda *_: None)
    watched = {str(h.selector) for h in handlers._watching.get_all_handlers()}
    assert len(watched) == 4
    assert not list(handlers._changing.get_all_handlers())
    assert not list(handlers._spawning.get_all_handlers())
    assert not list(handlers._indexing.get_all_handlers())
    assert not list(handlers._webhooks.get_all_handlers())


def test_an_event_is_passed_on_as_it_is_and_nothing_is_returned() -> None:
    seen: list[tuple[str, Any]] = []
    handlers = registry(lambda resource, event: seen.append((resource, event)))
    event = {"type": "DELETED", "object": {"metadata": {}}}
    for handler in handlers._watching.get_all_handlers():
        passes_on: Callable[..., object] = handler.fn
        assert passes_on(event=event) is None
    assert [resource for resource, _ in seen] == ["tuningstudies", "tuningtrials", "jobs", "pods"]
    assert all(passed is event for _, passed in seen)


def test_only_our_jobs_and_pods_travel() -> None:
    chosen = settings()
    assert chosen.watching.label_selectors["batch", "jobs"] == names.LABEL_STUDY_UID
    assert chosen.watching.label_selectors["v1", "pods"] == names.LABEL_STUDY_UID


def test_kopf_neither_scans_nor_posts_nor_elects() -> None:
    chosen: kopf.OperatorSettings = settings()
    assert chosen.scanning.disabled
    assert chosen.peering.standalone
    assert not chosen.posting.enabled


async def nothing_missing() -> None:
    return None


async def test_nothing_is_watched_before_the_api_server_knows_our_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["the API server does not know tuningstudies", None]
    begun = threading.Event()

    async def missing() -> str | None:
        return answers.pop(0)

    async def begins(*, ready_flag: threading.Event, stop_flag: threading.Event, **_: Any) -> None:
        assert answers == []
        ready_flag.set()
        begun.set()
        await asyncio.to_thread(stop_flag.wait)

    monkeypatch.setattr(kopf, "operator", begins)
    monkeypatch.setattr(watches_module, "ASK_AGAIN", 0.2)
    watches = Watches(lambda *_: None, (), missing)
    task = asyncio.create_task(watches.run())
    while answers:
        assert watches.problem is not None
        await asyncio.sleep(0.01)
    assert await asyncio.to_thread(begun.wait, 20)
    assert watches.problem is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_watches_that_broke_are_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Semaphore(0)

    async def breaks(*, ready_flag: threading.Event, stop_flag: threading.Event, **_: Any) -> None:
        # As kopf does: a thread of the loop's own waits for the flag.
        asyncio.get_running_loop().run_in_executor(None, stop_flag.wait)
        ready_flag.set()
        begun.release()
        raise RuntimeError("Error in the watch-stream")

    monkeypatch.setattr(kopf, "operator", breaks)
    watches = Watches(lambda *_: None, (), nothing_missing)
    task = asyncio.create_task(watches.run())
    for _ in range(2):
        assert await asyncio.to_thread(begun.acquire, timeout=20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert watches.problem is not None


def test_pauses_grow_to_half_a_minute_and_never_end_and_start_anew_each_time() -> None:
    endless = Endless()
    for _ in range(2):
        pauses = list(itertools.islice(endless, 5000))
        assert pauses[0] <= 1.0
        assert all(15.0 <= pause <= 30.0 for pause in pauses[6:])
