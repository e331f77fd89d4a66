"""Structured logs: one JSON object a line, with the study and the trial that it is about."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter


def configure(level: str) -> None:
    """Send all logs to standard error as JSON lines.

    Fields: `time` (UTC), `level`, `logger`, `message`, and, where a line is about them, `namespace`, `study`, `trial`.
    """
    formatter = JsonFormatter(
        "{asctime}{levelname}{name}{message}",
        style="{",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        datefmt="%Y-%m-%dT%H:%M:%SZ",
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # kopf tells of every object that it hands to us; we tell what is done with it.
    logging.getLogger("kopf").setLevel(logging.WARNING)
