"""What the installation decides: read once from the environment, which the chart and the manifests fill."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

PREFIX = "TUNING_OPERATOR_"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class SettingsError(ValueError):
    """A setting is missing or malformed; the message names the variable."""


@dataclass(frozen=True)
class OperatorSettings:
    """How this operator was installed."""

    prometheus_url: str
    trainer_image: str
    """The image of trials whose container names none."""
    prometheus_token_file: str | None = None
    prometheus_ca_file: str | None = None
    scrape_interval: timedelta = timedelta(seconds=15)
    """How often that Prometheus scrapes trial pods."""
    watch_namespaces: tuple[str, ...] = ()
    """Empty: all."""
    log_level: str = "INFO"
    port: int = 8080
    """Of /metrics, /healthz and /readyz."""
    workers: int = 8
    """How many studies are looked at side by side."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "OperatorSettings":
        """Read the settings.

        Raises:
            SettingsError: a setting is missing or malformed.
        """
        return cls(
            prometheus_url=_required(env, "PROMETHEUS_URL"),
            trainer_image=_required(env, "TRAINER_IMAGE"),
            prometheus_token_file=env.get(f"{PREFIX}PROMETHEUS_TOKEN_FILE") or None,
            prometheus_ca_file=env.get(f"{PREFIX}PROMETHEUS_CA_FILE") or None,
            scrape_interval=timedelta(seconds=_positive(env, "SCRAPE_INTERVAL", 15.0)),
            watch_namespaces=tuple(n.strip() for n in env.get(f"{PREFIX}WATCH_NAMESPACES", "").split(",") if n.strip()),
            log_level=_log_level(env),
            port=_whole(env, "PORT", 8080, 65535),
            workers=_whole(env, "WORKERS", 8, 1000),
        )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(PREFIX + name, "")
    if not value:
        raise SettingsError(f"{PREFIX}{name} is not set")
    return value


def _positive(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(PREFIX + name, "") or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise SettingsError(f"{PREFIX}{name} must be a positive number, not {text!r:.60}")
    return value


def _whole(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    value = _positive(env, name, default)
    if value != int(value) or value > most:
        raise SettingsError(f"{PREFIX}{name} must be a whole number from 1 to {most}, not {value:g}")
    return int(value)


def _log_level(env: Mapping[str, str]) -> str:
    level = (env.get(f"{PREFIX}LOG_LEVEL") or "INFO").upper()
    if level not in LOG_LEVELS:
        raise SettingsError(f"{PREFIX}LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}, not {level!r:.60}")
    return level
