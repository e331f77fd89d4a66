"""A Prometheus that knows what a test tells it: selectors, range selectors and `count by (__name__)`, no more."""

import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

MATCHER = re.compile(r'(\w+)(=~|=)("(?:[^"\\]|\\.)*")')


class FakePrometheus:
    """An HTTP server on a free port, for a `with` block."""

    def __init__(self) -> None:
        self._series: list[tuple[dict[str, str], list[tuple[float, float]]]] = []
        self.queries: list[str] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                body = json.dumps({"status": "success", "data": fake._answer(form["query"][0])}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FakePrometheus":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def scraped(self, labels: dict[str, str], samples: Mapping[str, Sequence[tuple[float, float]]]) -> None:
        """Add what scrapes of one pod saw: by metric, ages in seconds with values."""
        now = time.time()
        for name, series in samples.items():
            self._series.append(({"__name__": name, **labels}, [(now - age, value) for age, value in series]))

    def _answer(self, query: str) -> dict[str, Any]:
        self.queries.append(query)
        wanted = [(label, operator, json.loads(value)) for label, operator, value in MATCHER.findall(query)]
        found = [(labels, samples) for labels, samples in list(self._series) if _matches(labels, wanted)]
        if query.startswith("count by"):
            rows = [{"metric": {"__name__": name}, "value": [0, "1"]} for name in {m["__name__"] for m, _ in found}]
            return {"resultType": "vector", "result": rows}
        rows = [{"metric": labels, "values": [[at, str(value)] for at, value in samples]} for labels, samples in found]
        return {"resultType": "matrix", "result": rows}


def _matches(labels: dict[str, str], wanted: list[tuple[str, str, str]]) -> bool:
    return all(
        labels.get(label, "") == value if operator == "=" else re.fullmatch(value, labels.get(label, "")) is not None
        for label, operator, value in wanted
    )
