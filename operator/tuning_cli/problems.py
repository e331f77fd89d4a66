"""What is wrong with what the user gave: told with file, line and field, never as a traceback."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in one place."""

    message: str
    """What must be, and what stands there instead."""
    file: str = ""
    line: int | None = None
    """From 1."""
    field: str = ""
    """Such as `curve[3].step`."""

    def __str__(self) -> str:
        place = self.file + (f":{self.line}" if self.line is not None else "")
        return ": ".join(part for part in (place, self.field, self.message) if part)


class InputError(Exception):
    """The input cannot be read as it is; each problem is a line for the user."""

    def __init__(self, problems: Sequence[Problem] | Problem) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass
class Warnings:
    """What the user should know although it can be read; each text once, in the order of its first mention."""

    _texts: dict[str, None] = field(default_factory=dict)

    def add(self, problem: Problem) -> None:
        """Remember one."""
        self._texts.setdefault(str(problem))

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def shown(value: object) -> str:
    """Return a value as JSON would show it, cut to what fits a line.

    >>> shown("x"), shown(None), shown(True)
    ('"x"', 'null', 'true')
    """
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
