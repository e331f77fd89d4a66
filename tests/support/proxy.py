"""A reverse proxy before the API server that fails on purpose, for one operator.

It listens without TLS and speaks to the API server with the operator's certificate. A test hands it a `Fault`, which
sees every request before it is passed on and every answer before it is passed back.
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from tests.support.api import credentials

T = TypeVar("T")

WRITES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Call:
    """One request of the operator."""

    verb: str
    path: str
    is_watch: bool

    @property
    def is_write(self) -> bool:
        """Whether it changes something."""
        return self.verb in WRITES and "dryRun" not in self.path


class Fault:
    """What goes wrong: nothing, unless a method is overridden."""

    def before(self, call: Call) -> int | None:
        """Return an HTTP status to answer with instead of asking the API server; 0 breaks the connection."""
        return None

    def after(self, call: Call) -> int | None:
        """Return a status to answer with although the API server has done it; 0 breaks the connection."""
        return None

    def in_watch(self, call: Call) -> bytes | None:
        """Return bytes to send in a watch before its end."""
        return None


class Proxy:
    """A proxy on a free port, with a kubeconfig that points to it; for a `with` block."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._context, self._server = credentials(kubeconfig)
        self.kubeconfig = folder / "proxy.kubeconfig"
        self.fault = Fault()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._streams: set[asyncio.Task[None]] = set()

    def __enter__(self) -> "Proxy":
        self._thread.start()
        port = self._do(self._open())
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "users": [{"name": "test", "user": {}}],
        }
        self.kubeconfig.write_text(json.dumps(config))
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def break_watches(self) -> None:
        """End all streams, each with what the fault says."""

        async def end() -> None:
            for task in list(self._streams):
                task.cancel()

        self._do(end())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open(self) -> int:
        connector = aiohttp.TCPConnector(ssl=self._context, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        self._runner = web.AppRunner(_application(self._pass), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert self._runner.addresses
        return int(self._runner.addresses[0][1])

    async def _close(self) -> None:
        for task in list(self._streams):
            task.cancel()
        await self._runner.cleanup()
        await self._session.close()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        call = Call(request.method, request.raw_path, "watch" in request.query)
        code = self.fault.before(call)
        if code is not None:
            return _failure(request, code)
        body = await request.read()
        headers = {k: v for k, v in request.headers.items() if k in ("Content-Type", "Accept", "User-Agent")}
        headers["Accept-Encoding"] = "identity"
        async with self._session.request(
            call.verb, self._server + call.path, data=body or None, headers=headers, timeout=aiohttp.ClientTimeout()
        ) as answer:
            if call.is_watch and answer.status == 200:
                return await self._stream(request, call, answer)
            data = await answer.read()
            code = self.fault.after(call)
            if code is not None:
                return _failure(request, code)
            kind = answer.headers.get("Content-Type", "application/json")
            return web.Response(body=data, status=answer.status, headers={"Content-Type": kind})

    async def _stream(self, request: web.Request, call: Call, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)

        async def pump() -> None:
            async for chunk in answer.content.iter_any():
                await response.write(chunk)

        task = asyncio.create_task(pump())
        self._streams.add(task)
        try:
            await asyncio.wait([task])
        finally:
            self._streams.discard(task)
            task.cancel()
        last = self.fault.in_watch(call)
        if last is not None:
            await response.write(last)
        return response


def _application(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{path:.*}", handle)
    return app


def _failure(request: web.Request, code: int) -> web.Response:
    if code == 0:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "on purpose"}
    return web.json_response(body, status=code)
