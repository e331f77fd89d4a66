"""The end-to-end tests' cluster: kind, real pods, a real Prometheus, and the operator installed by its chart.

    pytest tests/e2e                                        # about ten minutes; the first time, images are built
    TUNING_E2E_OUTPUT=/tmp/e2e pytest tests/e2e             # also keeps what kubectl printed, and the figures
    TUNING_OPERATOR_CLUSTER=tuning-operator-e2e python -m hack.cluster down

The tests kill the operator and stop its Prometheus, so they have a cluster of their own, beside the one of `make demo`.
It stays up for the next run. With CLUSTER=existing they use yours, where the chart refuses to be installed beside
another operator for all namespaces.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack import choice, images
from hack.cluster import up
from tests.support.live import PATIENCE, TESTS, Live, Namespace, until

CLUSTER = "tuning-operator-e2e"
LONGEST_TEST = 1200
"""Seconds, with the making of the cluster and of its images, which the first test waits for."""

_figures: dict[str, float] = {}
_used: dict[str, Namespace] = {}
_namespaces = pytest.StashKey[list[Namespace]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run these tests only where they are asked for by name: they take minutes, and make a cluster."""
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    asked = any("e2e" in str(argument) for argument in config.invocation_params.args)
    for item in ours:
        item.add_marker(pytest.mark.timeout(LONGEST_TEST))
        if not asked:
            item.add_marker(pytest.mark.skip(reason="takes minutes and a cluster: pytest tests/e2e"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """After a failure, show what a person would ask the cluster for."""
    report = yield
    if report.failed and report.when in ("setup", "call"):
        for namespace in [*item.stash.get(_namespaces, []), *_of_the_module(item)]:
            report.sections.append((f"namespace {namespace.name}", namespace.diagnosis()))
    return report


def _of_the_module(item: pytest.Item) -> list[Namespace]:
    module = item.path.stem.removeprefix("test_").replace("_", "-")
    return [namespace for name, namespace in _used.items() if name == f"{TESTS}{module}"]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures that the run has measured."""
    for name, value in _figures.items():
        terminalreporter.write_line(f"{name}: {value:g}")


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Tell the terminal what takes so long."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    began = time.monotonic()

    def tell(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"  [{time.monotonic() - began:4.0f} s] {text}", file=sys.stderr, flush=True)

    return tell


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest, say: Callable[[str], None]) -> Iterator[Live]:
    """The cluster with this checkout's operator on it."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with pytest.MonkeyPatch.context() as patch:
        if not choice.chosen_by_user(os.environ) and "TUNING_OPERATOR_CLUSTER" not in os.environ:
            patch.setenv("TUNING_OPERATOR_CLUSTER", CLUSTER)
        say("bringing up the cluster, building images")
        with capture.global_and_fixture_disabled():
            found = Live(up(), images.ensure(), say)
        say("removing what an earlier run left")
        _clean(found)
        say("installing the operator by its chart")
        found.install()
        say("the operator is ready")
        yield found
        for namespace in _used.values():
            namespace.delete()
        say("uninstalling the operator")
        found.uninstall()


def _clean(found: Live) -> None:
    left = [n["metadata"]["name"] for n in found.api.items("/api/v1/namespaces")]
    for name in left:
        if name.startswith(TESTS):
            Namespace(found, name).delete()
    found.uninstall()
    until(
        "the last run's namespaces are gone",
        lambda: not [n for n in found.api.items("/api/v1/namespaces") if n["metadata"]["name"].startswith(TESTS)],
        PATIENCE * 2,
    )


def _new(live: Live, name: str) -> Namespace:
    namespace = Namespace(live, f"{TESTS}{re.sub('[^a-z0-9]+', '-', name.lower())}"[:63].rstrip("-"))
    namespace.create()
    _used[namespace.name] = namespace
    return namespace


@pytest.fixture
def own_cluster(live: Live) -> None:
    """For tests that do what nobody should do to a user's cluster."""
    if not live.cluster.local:
        pytest.skip("only for a cluster of the tests' own, not with CLUSTER=existing")


@pytest.fixture
def namespace(request: pytest.FixtureRequest, live: Live) -> Iterator[Namespace]:
    """A namespace of the test's own."""
    made = _new(live, request.node.name.removeprefix("test_"))
    request.node.stash[_namespaces] = [made]
    live.say(request.node.name)
    yield made
    made.delete()
    _used.pop(made.name)


@pytest.fixture(scope="module")
def shared_namespace(request: pytest.FixtureRequest, live: Live) -> Namespace:
    """A namespace that a module's tests share."""
    return _new(live, request.module.__name__.rpartition(".")[2].removeprefix("test_"))


@pytest.fixture(scope="session")
def keep() -> Callable[[str, str], None]:
    """Keep a text in the folder TUNING_E2E_OUTPUT, where one is named."""
    folder = os.environ.get("TUNING_E2E_OUTPUT")

    def write(name: str, text: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_text(text)

    return write


@pytest.fixture(scope="session")
def figure(keep: Callable[[str, str], None]) -> Callable[[str, float], None]:
    """Note a measured figure, for the run's summary."""

    def note(name: str, value: float) -> None:
        _figures[name] = value
        keep("figures.json", json.dumps(_figures, indent=2) + "\n")

    return note
