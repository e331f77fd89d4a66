"""The API server as a test sees it: JSON in, JSON out, without kubectl's start-up time."""

import base64
import http.client
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from tuning_operator.api.base import GROUP, VERSION

Manifest = dict[str, Any]

PREFIXES = {
    "tuningstudies": f"/apis/{GROUP}/{VERSION}",
    "tuningtrials": f"/apis/{GROUP}/{VERSION}",
    "jobs": "/apis/batch/v1",
}
MERGE_PATCH = "application/merge-patch+json"


class ApiError(Exception):
    """The API server refused; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """A client with the credentials of a kubeconfig of `hack.control_plane`; may be shared by threads."""

    def __init__(self, kubeconfig: Path) -> None:
        self.context, self.server = credentials(kubeconfig)
        address = urlsplit(self.server)
        self._host, self._port = address.hostname or "", address.port
        self._local = threading.local()

    def get(self, resource: str, namespace: str, name: str) -> Manifest:
        """Read one object."""
        return self.call("GET", path_of(resource, namespace, name))

    def find(self, resource: str, namespace: str, name: str) -> Manifest | None:
        """Read one object; None where there is none."""
        try:
            return self.get(resource, namespace, name)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, resource: str, namespace: str | None, **query: str) -> list[Manifest]:
        """List objects; all namespaces where none is named."""
        items: list[Manifest] = self.call("GET", path_of(resource, namespace), query=query)["items"]
        return items

    def create(self, resource: str, namespace: str | None, body: Manifest) -> Manifest:
        """Create an object."""
        return self.call("POST", path_of(resource, namespace), body)

    def patch(
        self, resource: str, namespace: str, name: str, body: Manifest, subresource: str | None = None
    ) -> Manifest:
        """Change the named fields of an object."""
        return self.call("PATCH", path_of(resource, namespace, name, subresource), body, content_type=MERGE_PATCH)

    def delete(self, resource: str, namespace: str | None, name: str, **options: Any) -> None:
        """Delete an object; one that is gone already is as good."""
        try:
            self.call("DELETE", path_of(resource, namespace, name), {"kind": "DeleteOptions", **options})
        except ApiError as error:
            if error.status != 404:
                raise

    def call(
        self,
        verb: str,
        path: str,
        body: Manifest | None = None,
        query: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """Make one call.

        Raises:
            ApiError: the answer is an error.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        data = None if body is None else json.dumps(body)
        for again in (True, False):
            connection = self._connection()
            try:
                connection.request(verb, target, data, {"Content-Type": content_type, "Accept": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException):
                # The server closes connections that were idle, and all of them when it ends.
                connection.close()
                self._local.connection = None
                if not again:
                    raise
        result: Manifest = json.loads(text) if text.startswith(b"{") else {"message": text.decode()}
        if answer.status >= 400:
            raise ApiError(answer.status, result.get("message", ""))
        return result

    def watch(self, resource: str, stop: threading.Event, **query: str) -> Iterator[tuple[str, Manifest]]:
        """Yield all objects of all namespaces, then every change; returns when `stop` is set or the stream breaks."""
        listed = self.call("GET", path_of(resource, None), query=query)
        for item in listed["items"]:
            yield "ADDED", item
        connection = http.client.HTTPSConnection(self._host, self._port, context=self.context, timeout=2.0)
        version = listed["metadata"]["resourceVersion"]
        options = {**query, "watch": "true", "resourceVersion": version}
        connection.request("GET", f"{path_of(resource, None)}?{urlencode(options)}")
        stream = connection.getresponse()
        rest = b""
        try:
            while not stop.is_set():
                try:
                    chunk = stream.read1(1 << 20)
                except (ValueError, http.client.HTTPException) as error:
                    raise ConnectionError("the stream broke") from error
                except TimeoutError:
                    # http.client does not read on after a time-out; a new watch goes on from where this one stands.
                    return
                if not chunk:
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    yield event["type"], event["object"]
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPSConnection:
        connection: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPSConnection(self._host, self._port, context=self.context, timeout=30)
            self._local.connection = connection
        return connection


def path_of(resource: str, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
    """Return the URL's path of an object or a collection."""
    scope = ("namespaces", namespace) if namespace is not None else ()
    return "/".join(part for part in (PREFIXES.get(resource, "/api/v1"), *scope, resource, name, subresource) if part)


def credentials(kubeconfig: Path) -> tuple[ssl.SSLContext, str]:
    """Return a TLS context with the client certificate of a kubeconfig, and the server's address."""
    config = json.loads(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(base64.b64decode(user["client-certificate-data"]) + b"\n")
        pair.write(base64.b64decode(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    return context, cluster["server"]
