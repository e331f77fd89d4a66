"""Prometheus' answers, and errors, against a server that says what a test wants."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tuning_contract.metrics import (
    LABEL_ATTEMPT,
    LABEL_NAMESPACE,
    LABEL_STUDY_UID,
    LABEL_TRIAL,
    TRIAL_OBJECTIVE,
    TRIAL_STEP,
)
from tuning_operator.clients.errors import PrometheusError
from tuning_operator.clients.prometheus import Prometheus, Target, paired

TARGET = Target("ours", "uid-1", TRIAL_OBJECTIVE)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def a_row(
    name: str, *values: tuple[float, str], namespace: str = "ours", instance: str = "pod", attempt: str = "0"
) -> Any:
    """Return a series as a range selector answers it."""
    labels = {LABEL_NAMESPACE: namespace, LABEL_STUDY_UID: "uid-1", LABEL_TRIAL: "t0", LABEL_ATTEMPT: attempt}
    return {"metric": {"__name__": name, "instance": instance, **labels}, "values": [list(v) for v in values]}


def at(seconds: float) -> datetime:
    """Return the moment of a timestamp."""
    return datetime.fromtimestamp(seconds, UTC)


def curve(*rows: Any) -> list[tuple[float, float, int | None, int]]:
    """Return the trial's samples as (time, value, step, attempt)."""
    found = paired(rows, [TARGET]).get("uid-1", {}).get("t0", ())
    return [(s.time.timestamp(), s.value, s.step, s.attempt) for s in found]


def test_step_and_value_of_one_scrape_belong_together() -> None:
    steps = a_row(TRIAL_STEP, (10.5, "1"), (20.5, "2"))
    values = a_row(TRIAL_OBJECTIVE, (10.5, "0.9"), (20.5, "0.8"))
    assert curve(steps, values) == curve(values, steps) == [(10.5, 0.9, 1, 0), (20.5, 0.8, 2, 0)]


def test_a_value_without_a_step_at_its_timestamp_has_none() -> None:
    assert curve(a_row(TRIAL_STEP, (10, "1")), a_row(TRIAL_OBJECTIVE, (11, "0.9"))) == [(11, 0.9, None, 0)]
    assert curve(a_row(TRIAL_OBJECTIVE, (11, "0.9"))) == [(11, 0.9, None, 0)]


def test_a_pod_that_is_scraped_by_two_jobs_has_the_steps_of_both() -> None:
    first = [a_row(TRIAL_STEP, (10, "1")), a_row(TRIAL_OBJECTIVE, (10, "0.9"))]
    second = [a_row(TRIAL_STEP, (17, "2")), a_row(TRIAL_OBJECTIVE, (17, "0.8"))]
    assert curve(*first, *second) == [(10, 0.9, 1, 0), (17, 0.8, 2, 0)]


@pytest.mark.parametrize("step", ["NaN", "+Inf", "-1", "1e300"])
def test_a_step_that_is_none_is_dropped(step: str) -> None:
    assert curve(a_row(TRIAL_STEP, (10, step)), a_row(TRIAL_OBJECTIVE, (10, "0.9"))) == [(10, 0.9, None, 0)]


def test_values_that_are_not_finite_are_data() -> None:
    found = curve(a_row(TRIAL_OBJECTIVE, (10, "NaN"), (11, "+Inf"), (12, "-Inf")))
    assert math.isnan(found[0][1])
    assert [value for _, value, _, _ in found[1:]] == [math.inf, -math.inf]


def test_a_series_from_another_namespace_is_somebody_elses() -> None:
    assert curve(a_row(TRIAL_OBJECTIVE, (10, "0.1"), namespace="theirs")) == []


def test_a_metric_that_nobody_asked_for_is_dropped() -> None:
    assert curve(a_row("something_else", (10, "0.1"))) == []


def test_further_metrics_of_a_scrape_stand_beside_its_objective() -> None:
    rows = [
        a_row(TRIAL_STEP, (10, "1"), (20, "2")),
        a_row(TRIAL_OBJECTIVE, (10, "0.9"), (20, "0.8")),
        a_row("tuning_trial_latency", (10, "3"), (15, "4"), (20, "+Inf")),
        a_row("tuning_trial_unasked", (10, "5")),
        a_row("tuning_trial_train_loss", (20, "0.7"), instance="another pod"),
    ]
    target = replace(TARGET, metrics=("latency", "train_loss"))
    found = paired(rows, [target])["uid-1"]["t0"]
    assert [dict(sample.metrics) for sample in found] == [{"latency": 3.0}, {"latency": math.inf}]
    assert [dict(sample.metrics) for sample in paired(rows, [TARGET])["uid-1"]["t0"]] == [{}, {}]


def test_an_objective_that_is_a_further_metric_as_well_is_both() -> None:
    target = Target("ours", "uid-1", "tuning_trial_latency", ("latency",))
    (sample,) = paired([a_row("tuning_trial_latency", (10, "3"))], [target])["uid-1"]["t0"]
    assert (sample.value, dict(sample.metrics)) == (3.0, {"latency": 3.0})


def test_attempts_follow_each_other_in_time_and_do_not_mix() -> None:
    rows = [
        a_row(TRIAL_STEP, (30, "1"), instance="pod-b", attempt="1"),
        a_row(TRIAL_OBJECTIVE, (30, "0.7"), instance="pod-b", attempt="1"),
        a_row(TRIAL_STEP, (10, "1"), (20, "2")),
        a_row(TRIAL_OBJECTIVE, (10, "0.9"), (20, "0.8")),
    ]
    assert curve(*rows) == [(10, 0.9, 1, 0), (20, 0.8, 2, 0), (30, 0.7, 1, 1)]


@pytest.mark.parametrize("row", [{"metric": {"__name__": TRIAL_OBJECTIVE}, "values": [[1, "2"]]}])
def test_a_series_without_our_labels_is_ignored(row: Any) -> None:
    assert paired([row], [TARGET]) == {}


@pytest.fixture
async def ask() -> AsyncIterator[Callable[[Answer], Awaitable[tuple[Prometheus, list[Any]]]]]:
    """Makes a client of a server that answers so."""
    opened: list[Any] = []

    async def start(answer: Answer, **options: Any) -> tuple[Prometheus, list[Any]]:
        seen: list[Any] = []

        async def handle(request: web.Request) -> web.StreamResponse:
            seen.append((dict(request.headers), dict(await request.post())))
            return await answer(request)

        app = web.Application()
        app.router.add_post("/prefix/api/v1/query", handle)
        server = TestServer(app)
        await server.start_server()
        client = Prometheus(str(server.make_url("/prefix/")), **options)
        opened.extend([client, server])
        return client, seen

    yield start
    for thing in opened:
        await thing.close()


async def answers(rows: list[Any], **body: Any) -> web.Response:
    """Return a good answer."""
    return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": rows}, **body})


async def test_many_studies_are_one_query(ask: Any) -> None:
    client, seen = await ask(lambda _: answers([a_row(TRIAL_OBJECTIVE, (10, "0.5"))]))
    targets = [Target("ours", f"uid-{i}", TRIAL_OBJECTIVE) for i in range(50)]
    found = await client.recent(targets, timedelta(seconds=45))
    assert list(found) == ["uid-1"]
    assert len(seen) == 1
    assert seen[0][1]["query"].endswith("[45s]")
    await client.recent([*targets, TARGET], timedelta(seconds=45))
    assert len(seen) == 3


async def test_the_token_is_read_anew_at_each_call(ask: Any, tmp_path: Path) -> None:
    token = tmp_path / "token"
    client, seen = await ask(lambda _: answers([]), token_file=str(token))
    for text in ("one\n", "two\n"):
        token.write_text(text)
        await client.recent([TARGET], timedelta(seconds=1))
    assert [headers["Authorization"] for headers, _ in seen] == ["Bearer one", "Bearer two"]


async def test_a_missing_token_is_an_error_of_prometheus_and_of_nothing_else(ask: Any, tmp_path: Path) -> None:
    client, _ = await ask(lambda _: answers([]), token_file=str(tmp_path / "absent"))
    with pytest.raises(PrometheusError):
        await client.recent([TARGET], timedelta(seconds=1))


async def plain(text: str, status: int = 200) -> web.Response:
    """Return an answer that is no JSON."""
    return web.Response(text=text, status=status)


async def broken(body: Any, status: int = 200) -> web.Response:
    """Return an answer that is not Prometheus'."""
    return web.json_response(body, status=status)


BAD = {
    "an error": (lambda _: broken({"status": "error", "error": "query timed out"}, 503), "query timed out"),
    "an error with 200": (lambda _: broken({"status": "error", "error": "no such tenant"}), "no such tenant"),
    "a login page": (lambda _: plain("<html>"), None),
    "unauthorized": (lambda _: plain("who are you?", 401), "HTTP 401: who are you?"),
    "a list": (lambda _: broken([]), None),
    "nothing in it": (lambda _: broken({"status": "success"}), None),
    "a string for rows": (lambda _: broken({"status": "success", "data": {"result": "boom"}}), None),
    "rows without labels": (lambda _: broken({"status": "success", "data": {"result": [{}]}}), None),
    "a row of numbers": (lambda _: broken({"status": "success", "data": {"result": [1]}}), None),
    "a value that is no number": (
        lambda _: answers([a_row(TRIAL_OBJECTIVE, (10, "many"))]),
        None,
    ),
}


@pytest.mark.parametrize(("answer", "said"), BAD.values(), ids=BAD)
async def test_every_bad_answer_is_one_kind_of_error(ask: Any, answer: Answer, said: str | None) -> None:
    client, _ = await ask(answer)
    with pytest.raises(PrometheusError, match=said):
        await client.recent([TARGET], timedelta(seconds=1))


async def test_the_names_of_a_studys_metrics_are_few_and_sorted(ask: Any) -> None:
    rows = [{"metric": {"__name__": f"m{i:02}"}, "value": [0, "1"]} for i in reversed(range(30))]
    client, _ = await ask(lambda _: answers(rows))
    found = await client.names_of(TARGET, timedelta(minutes=1))
    assert found == tuple(f"m{i:02}" for i in range(20))
