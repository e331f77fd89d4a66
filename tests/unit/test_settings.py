"""How the process is set up: its settings and its log."""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tuning_operator import logs
from tuning_operator.settings import OperatorSettings, SettingsError

LEAST = {"TUNING_OPERATOR_PROMETHEUS_URL": "http://prometheus:9090", "TUNING_OPERATOR_TRAINER_IMAGE": "trainer"}


def read(**env: str) -> OperatorSettings:
    """Return the settings of an environment."""
    return OperatorSettings.from_env({**LEAST, **{f"TUNING_OPERATOR_{k}": v for k, v in env.items()}})


def test_the_defaults() -> None:
    assert read() == OperatorSettings("http://prometheus:9090", "trainer")
    assert read().watch_namespaces == ()
    assert read().scrape_interval == timedelta(seconds=15)


def test_everything_can_be_set() -> None:
    found = read(
        PROMETHEUS_TOKEN_FILE="/token",
        PROMETHEUS_CA_FILE="/ca",
        SCRAPE_INTERVAL="2.5",
        WATCH_NAMESPACES=" one, two ,,",
        LOG_LEVEL="debug",
        PORT="9000",
        WORKERS="3",
    )
    assert found == OperatorSettings(
        "http://prometheus:9090", "trainer", "/token", "/ca", timedelta(seconds=2.5), ("one", "two"), "DEBUG", 9000, 3
    )


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert read(PROMETHEUS_TOKEN_FILE="", SCRAPE_INTERVAL="", PORT="", WATCH_NAMESPACES="", LOG_LEVEL="") == read()


@pytest.mark.parametrize("name", ["PROMETHEUS_URL", "TRAINER_IMAGE"])
@pytest.mark.parametrize("text", [None, ""], ids=["unset", "empty"])
def test_what_is_missing_is_named(name: str, text: str | None) -> None:
    variable = f"TUNING_OPERATOR_{name}"
    given = {k: v for k, v in {**LEAST, variable: text}.items() if v is not None}
    with pytest.raises(SettingsError, match=f"{variable} is not set"):
        OperatorSettings.from_env(given)


MALFORMED = [
    ("SCRAPE_INTERVAL", "15s"),
    ("SCRAPE_INTERVAL", "0"),
    ("SCRAPE_INTERVAL", "nan"),
    ("SCRAPE_INTERVAL", "inf"),
    ("PORT", "-1"),
    ("PORT", "0.5"),
    ("PORT", "http"),
    ("PORT", "70000"),
    ("WORKERS", "0"),
    ("WORKERS", "0.5"),
    ("LOG_LEVEL", "loud"),
]


@pytest.mark.parametrize(("name", "text"), MALFORMED)
def test_what_is_malformed_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"TUNING_OPERATOR_{name}"):
        read(**{name: text})


@pytest.fixture
def restored() -> Iterator[None]:
    """Leave the root logger as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_of_the_log_is_json_with_what_it_is_about(restored: None, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO")
    log = logging.getLogger("tuning_operator.reconcile")
    log.info('Created "%s"\nand more', "x", extra={"namespace": "ns", "study": "digits", "trial": "digits-0"})
    log.debug("nobody asked")
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("broken")
    first, second = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "INFO",
        "logger": "tuning_operator.reconcile",
        "message": 'Created "x"\nand more',
        "namespace": "ns",
        "study": "digits",
        "trial": "digits-0",
    }
    assert "ValueError: why" in second["exc_info"]
