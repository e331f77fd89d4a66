"""The cluster: the few calls that the operator makes, by the official client's asynchronous transport.

Objects travel as plain JSON: the generated models would cost a copy of each and know nothing of our own resources.
Every write is safe to repeat and safe beside a second operator: names are deterministic, statuses carry the
resourceVersion that was read, deletions the uid.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config
from kubernetes.aio.config.config_exception import ConfigException

from tuning_operator.api import names
from tuning_operator.api.base import GROUP, VERSION
from tuning_operator.clients.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound, Unreachable
from tuning_operator.clients.telemetry import API_REQUEST_SECONDS, API_REQUESTS, API_SERVER_UP
from tuning_operator.clients.views import moment

Manifest = dict[str, Any]

REQUEST_TIMEOUT = 30.0
"""Seconds for one call; the client's own default of five minutes would hold a worker for that long."""
PROBE_TIMEOUT = 3.0
"""Less than the probes' timeoutSeconds in the manifests."""
PAGE = 500
FIELD_MANAGER = names.MANAGED_BY

_PREFIXES = {
    "tuningstudies": f"/apis/{GROUP}/{VERSION}",
    "tuningtrials": f"/apis/{GROUP}/{VERSION}",
    "jobs": "/apis/batch/v1",
    "pods": "/api/v1",
    "events": "/api/v1",
}


class Cluster:
    """The API server, seen from the operator."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    @classmethod
    async def connect(cls, kubeconfig: str | None = None) -> "Cluster":
        """Return a client with the pod's service account; with a kubeconfig where one is named or none is mounted."""
        configuration = Configuration()
        try:
            if kubeconfig is not None:
                raise ConfigException
            load_incluster_config(client_configuration=configuration)
        except ConfigException:
            await load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        return cls(ApiClient(configuration))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def answers(self) -> bool:
        """Return whether the API server answers and says that it is ready, within a probe's patience."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                status, _ = await self._send("GET", "/readyz", None)
        except (aiohttp.ClientError, OSError):
            status = 0
        API_SERVER_UP.set(status == 200)
        return status == 200

    async def missing_kinds(self) -> str | None:
        """Return which of our kinds the API server does not serve, or why it cannot be asked; None: it serves all."""
        try:
            status, text = await self._send("GET", f"/apis/{GROUP}/{VERSION}", None)
            served = {each["name"] for each in json.loads(text).get("resources", [])} if status == 200 else set()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"the API server does not answer ({error or type(error).__name__})"
        missing = [f"{kind}.{GROUP}" for kind in ("tuningstudies", "tuningtrials") if kind not in served]
        return f"the API server does not know {' and '.join(missing)}: apply manifests/crd" if missing else None

    async def get(self, resource: str, namespace: str, name: str) -> Manifest:
        """Read one object from etcd's quorum, not from a cache."""
        return await self._call("GET", resource, namespace, name)

    async def list_of_study(self, resource: str, namespace: str, study_uid: str) -> tuple[list[Manifest], int]:
        """List a study's trials, Jobs or pods, page by page; return the list's resourceVersion, too."""
        return await self._list(resource, namespace, {"labelSelector": f"{names.LABEL_STUDY_UID}={study_uid}"})

    async def pages_of_study(self, resource: str, namespace: str, study_uid: str) -> AsyncIterator[list[Manifest]]:
        """Yield a study's trials, Jobs or pods page by page: ten thousand of them at once would fill the memory."""
        query = {"labelSelector": f"{names.LABEL_STUDY_UID}={study_uid}"}
        async for page, _ in self._pages(resource, namespace, query):
            yield page

    async def failed_creates(self, namespace: str, job: str) -> list[Manifest]:
        """List the Job controller's events about pods that it could not create: they are told nowhere else."""
        selector = f"involvedObject.kind=Job,involvedObject.name={job},reason=FailedCreate"
        return (await self._list("events", namespace, {"fieldSelector": selector}))[0]

    async def create(self, resource: str, body: Manifest, owner_uid: str) -> Manifest:
        """Create an object with a deterministic name; one that is there already, and has this owner, is as good.

        Raises:
            Conflict: another owner's object has the name.
        """
        meta = body["metadata"]
        try:
            return await self._call("POST", resource, meta["namespace"], body=body)
        except Conflict:
            found = await self.get(resource, meta["namespace"], meta["name"])
            if any(owner.get("uid") == owner_uid for owner in found["metadata"].get("ownerReferences", [])):
                return found
            raise Conflict(f"{resource} {meta['name']} exists and belongs to something else") from None

    async def create_following(self, body: Manifest, after: datetime) -> Manifest:
        """Create a study that follows another; one that is there already, and follows the same one, is as good.

        Args:
            body: the study.
            after: when the study that it follows was created: an older one follows another one of the same name.

        Raises:
            Conflict: another study has the name.
            Forbidden, Invalid: the API server would not take it; the message is its own.
        """
        meta = body["metadata"]
        try:
            return await self._call("POST", "tuningstudies", meta["namespace"], body=body)
        except Conflict:
            found = await self.get("tuningstudies", meta["namespace"], meta["name"])
            follows = (found["metadata"].get("annotations") or {}).get(names.ANNOTATION_FOLLOWS)
            is_younger = moment(found["metadata"]["creationTimestamp"]) >= after
            if is_younger and follows == meta["annotations"][names.ANNOTATION_FOLLOWS]:
                return found
            raise Conflict(f"a study {meta['name']} exists already, and does not follow this one") from None

    async def dry_run_job(self, body: Manifest) -> None:
        """Ask whether the API server would take a Job, unknown fields included.

        Raises:
            Invalid, Forbidden: it would not; the message is its own.
        """
        query = {"dryRun": "All", "fieldValidation": "Strict"}
        try:
            await self._call("POST", "jobs", body["metadata"]["namespace"], body=body, query=query)
        except Conflict:
            # It was taken already: the operator was killed before it wrote down that the study is accepted.
            return

    async def replace_status(self, resource: str, body: Manifest) -> Manifest:
        """Write a status over the version that was read.

        Raises:
            Conflict: the object has changed since.
        """
        meta = body["metadata"]
        return await self._call("PUT", resource, meta["namespace"], meta["name"], "status", body=body)

    async def set_ttl(self, namespace: str, job: str, uid: str, seconds: int) -> Manifest:
        """Let the TTL controller remove a finished Job and its pods after `seconds`."""
        body = {"metadata": {"uid": uid}, "spec": {"ttlSecondsAfterFinished": seconds}}
        return await self._call("PATCH", "jobs", namespace, job, body=body)

    async def delete_job(self, namespace: str, job: str, uid: str) -> None:
        """Delete a Job after its pods, which receive SIGTERM; one that is gone already is as good."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Foreground",
            "preconditions": {"uid": uid},
        }
        try:
            await self._call("DELETE", "jobs", namespace, job, body=body)
        except NotFound:
            return

    async def create_event(self, body: Manifest) -> None:
        """Write an Event for people."""
        await self._call("POST", "events", body["metadata"]["namespace"], body=body)

    async def _list(self, resource: str, namespace: str, query: Mapping[str, str]) -> tuple[list[Manifest], int]:
        items: list[Manifest] = []
        newest = 0
        async for page, version in self._pages(resource, namespace, query):
            items += page
            newest = version
        return items, newest

    async def _pages(
        self, resource: str, namespace: str, query: Mapping[str, str]
    ) -> AsyncIterator[tuple[list[Manifest], int]]:
        token = ""
        while True:
            page = {"limit": str(PAGE), "continue": token} if token else {"limit": str(PAGE)}
            answer = await self._call("GET", resource, namespace, query={**query, **page})
            # All pages are of one version, which each of them states.
            meta = answer.get("metadata", {})
            yield answer.get("items") or [], int(meta.get("resourceVersion") or 0)
            token = meta.get("continue", "")
            if not token:
                return

    async def _call(
        self,
        verb: str,
        resource: str,
        namespace: str,
        name: str | None = None,
        subresource: str | None = None,
        body: Manifest | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Manifest:
        path = "/".join(
            quote(part, safe="/")
            for part in (_PREFIXES[resource], "namespaces", namespace, resource, name, subresource)
            if part is not None
        )
        parameters = dict(query or {})
        if verb in ("POST", "PUT", "PATCH"):
            parameters["fieldManager"] = FIELD_MANAGER
        started = time.monotonic()
        code = "none"
        try:
            status, text = await self._send(verb, f"{path}?{urlencode(parameters)}", body)
            code = str(status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            API_SERVER_UP.set(0)
            raise Unreachable(f"{verb} {path}: {error or type(error).__name__}") from error
        finally:
            label = f"{resource}/{subresource}" if subresource else resource
            API_REQUESTS.labels(verb, label, code).inc()
            API_REQUEST_SECONDS.labels(verb, label).observe(time.monotonic() - started)
        API_SERVER_UP.set(1)
        if status >= 400:
            raise _error(status, text)
        answer: Manifest = json.loads(text)
        return answer

    async def _send(self, verb: str, path: str, body: Manifest | None) -> tuple[int, str]:
        headers = {"Accept": "application/json", "User-Agent": FIELD_MANAGER}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json" if verb == "PATCH" else "application/json"
        configuration = self._api.configuration
        token = await configuration.get_api_key_with_prefix("BearerToken")
        if token:
            headers["Authorization"] = token
        async with asyncio.timeout(REQUEST_TIMEOUT):
            response = await self._api.rest_client.request(
                verb, configuration.host + path, headers=headers, body=body, _request_timeout=REQUEST_TIMEOUT
            )
            data = await response.read()
        return response.status, data.decode()


def _error(status: int, text: str) -> ClusterError:
    try:
        said = json.loads(text)
        message, reason = said.get("message", text), said.get("reason", "")
    except ValueError:
        message, reason = text[:500], ""
    if status == 409 and reason in ("Conflict", "AlreadyExists"):
        return Conflict(message)
    kinds = {401: Unreachable, 403: Forbidden, 404: NotFound, 409: Conflict, 400: Invalid, 422: Invalid}
    if status in kinds:
        return kinds[status](message)
    return Unreachable(message) if status == 429 or status >= 500 else ClusterError(message)
