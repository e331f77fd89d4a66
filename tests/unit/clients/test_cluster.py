"""The client of the API server: which answer becomes which error, and which is none."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tuning_operator.clients import cluster as module
from tuning_operator.clients.cluster import Cluster
from tuning_operator.clients.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound, Unreachable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Start = Callable[[Handler], Awaitable[Cluster]]
JOB = {"metadata": {"namespace": "ns", "name": "digits-0-0"}}


@pytest.fixture
async def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Makes clients of an API server that answers as a handler says."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    opened: list[Any] = []

    async def connect(handler: Handler) -> Cluster:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app)
        await server.start_server()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": str(server.make_url("")).rstrip("/")}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {"token": "secret"}}],
        }
        (tmp_path / "config").write_text(json.dumps(config))
        client = await Cluster.connect(str(tmp_path / "config"))
        opened.extend([client, server])
        return client

    yield connect
    for thing in opened:
        await thing.close()


def says(code: int, reason: str = "", message: str = "said") -> Handler:
    """Return a handler that answers with a Status."""

    async def handle(_: web.Request) -> web.Response:
        return web.json_response({"kind": "Status", "code": code, "reason": reason, "message": message}, status=code)

    return handle


ERRORS = {
    "changed meanwhile": (409, "Conflict", Conflict),
    "exists": (409, "AlreadyExists", Conflict),
    "not found": (404, "NotFound", NotFound),
    "quota or policy": (403, "Forbidden", Forbidden),
    "not valid": (422, "Invalid", Invalid),
    "bad request": (400, "BadRequest", Invalid),
    "token expired": (401, "Unauthorized", Unreachable),
    "busy": (429, "TooManyRequests", Unreachable),
    "internal": (500, "InternalError", Unreachable),
    "starting": (503, "ServiceUnavailable", Unreachable),
    "timed out": (504, "Timeout", Unreachable),
    "something else": (405, "MethodNotAllowed", ClusterError),
}


@pytest.mark.parametrize(("code", "reason", "expected"), ERRORS.values(), ids=ERRORS)
async def test_an_answer_becomes_an_error_with_the_servers_words(
    start: Start, code: int, reason: str, expected: type[ClusterError]
) -> None:
    client = await start(says(code, reason))
    with pytest.raises(ClusterError, match=r"^said$") as caught:
        await client.get("jobs", "ns", "digits-0-0")
    assert type(caught.value) is expected


async def test_an_answer_that_is_no_json_is_an_error_all_the_same(start: Start) -> None:
    async def gateway(_: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>bad gateway</html>")

    client = await start(gateway)
    with pytest.raises(Unreachable, match="bad gateway"):
        await client.get("jobs", "ns", "digits-0-0")


async def test_a_broken_connection_is_unreachable(start: Start) -> None:
    async def abort(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    client = await start(abort)
    with pytest.raises(Unreachable, match="POST /apis/batch/v1/namespaces/ns/jobs"):
        await client.dry_run_job(JOB)


async def test_a_server_that_never_answers_is_unreachable(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setattr(module, "REQUEST_TIMEOUT", 0.05)

    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return web.Response()

    client = await start(hang)
    with pytest.raises(Unreachable):
        await client.get("jobs", "ns", "digits-0-0")


@pytest.mark.parametrize(("owner", "ours"), [("mine", True), ("another", False)])
async def test_creating_what_is_there_succeeds_only_where_it_is_ours(start: Start, owner: str, ours: bool) -> None:
    async def handle(request: web.Request) -> web.Response:
        if request.method == "POST":
            return web.json_response({"reason": "AlreadyExists", "message": "exists"}, status=409)
        return web.json_response({"metadata": {"ownerReferences": [{"uid": owner}]}})

    client = await start(handle)
    if ours:
        found = await client.create("jobs", JOB, "mine")
        assert found["metadata"]["ownerReferences"] == [{"uid": "mine"}]
    else:
        with pytest.raises(Conflict, match="belongs to something else"):
            await client.create("jobs", JOB, "mine")


async def test_a_dry_run_of_a_job_that_is_there_says_that_it_would_be_taken(start: Start) -> None:
    await (await start(says(409, "AlreadyExists"))).dry_run_job(JOB)
    refusing = await start(says(422, "Invalid"))
    with pytest.raises(Invalid):
        await refusing.dry_run_job(JOB)


async def test_deleting_what_is_gone_is_done_and_what_was_replaced_is_a_conflict(start: Start) -> None:
    seen: list[Any] = []

    def answering(code: int, reason: str) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            seen.append(await request.json())
            return web.json_response({"reason": reason}, status=code)

        return handle

    await (await start(answering(404, "NotFound"))).delete_job("ns", "digits-0-0", "uid-1")
    assert seen[0]["preconditions"] == {"uid": "uid-1"}
    assert seen[0]["propagationPolicy"] == "Foreground"
    client = await start(answering(409, "Conflict"))
    with pytest.raises(Conflict):
        await client.delete_job("ns", "digits-0-0", "uid-1")


async def test_what_a_request_carries(start: Start) -> None:
    seen: list[tuple[str, str, dict[str, str], str]] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append((request.method, request.path, dict(request.query), request.headers.get("Authorization", "")))
        seen[-1] += (request.headers.get("Content-Type", ""),)  # type: ignore[assignment]
        return web.json_response({"items": []})

    client = await start(handle)
    status = {"metadata": {"namespace": "ns", "name": "digits"}, "status": {}}
    await client.replace_status("tuningstudies", status)
    await client.set_ttl("ns", "digits-0-0", "uid-1", 60)
    await client.dry_run_job(JOB)
    await client.list_of_study("pods", "ns", "uid-1")
    group = "/apis/tuning-operator.dev/v1alpha1/namespaces/ns"
    manager = {"fieldManager": "tuning-operator"}
    assert [entry[:3] for entry in seen] == [
        ("PUT", f"{group}/tuningstudies/digits/status", manager),
        ("PATCH", "/apis/batch/v1/namespaces/ns/jobs/digits-0-0", manager),
        ("POST", "/apis/batch/v1/namespaces/ns/jobs", {"dryRun": "All", "fieldValidation": "Strict", **manager}),
        (
            "GET",
            "/api/v1/namespaces/ns/pods",
            {"labelSelector": "tuning-operator.dev/study-uid=uid-1", "limit": str(module.PAGE)},
        ),
    ]
    assert {entry[3] for entry in seen} == {"Bearer secret"}
    assert seen[1][4] == "application/merge-patch+json"  # type: ignore[misc]


async def test_a_list_is_read_to_its_end(start: Start) -> None:
    async def handle(request: web.Request) -> web.Response:
        number = int(request.query.get("continue", "0"))
        token = str(number + 1) if number < 2 else ""
        return web.json_response({"metadata": {"continue": token, "resourceVersion": "42"}, "items": [{"n": number}]})

    client = await start(handle)
    assert await client.list_of_study("jobs", "ns", "uid-1") == ([{"n": 0}, {"n": 1}, {"n": 2}], 42)


async def test_a_large_list_can_be_taken_page_by_page(start: Start) -> None:
    async def handle(request: web.Request) -> web.Response:
        number = int(request.query.get("continue", "0"))
        token = str(number + 1) if number < 2 else ""
        return web.json_response({"metadata": {"continue": token, "resourceVersion": "42"}, "items": [{"n": number}]})

    client = await start(handle)
    pages = [page async for page in client.pages_of_study("tuningtrials", "ns", "uid-1")]
    assert pages == [[{"n": 0}], [{"n": 1}], [{"n": 2}]]


async def test_a_list_whose_continuation_expired_is_an_error_and_not_half_a_list(start: Start) -> None:
    async def handle(request: web.Request) -> web.Response:
        if "continue" in request.query:
            return web.json_response({"reason": "Expired", "message": "too old"}, status=410)
        return web.json_response({"metadata": {"continue": "x"}, "items": [{}]})

    client = await start(handle)
    with pytest.raises(ClusterError, match="too old"):
        await client.list_of_study("jobs", "ns", "uid-1")
