"""YAML 1.2 with the line of each field: `1e-4` is a number, `on` is a text, and errors can say where."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from tuning_cli.problems import InputError, Problem

Key = str | int
Path_ = tuple[Key, ...]
MOST_FIELDS: Final = 1_000_000
DEEPEST: Final = 100
NO_TEXT_IN_YAML_1_1: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"})


@dataclass(frozen=True)
class Document:
    """One YAML (or JSON) document with the place of each of its fields."""

    file: str
    data: Any
    lines: Mapping[Path_, int] = field(default_factory=dict)
    """By path, from 1."""

    def line(self, path: Sequence[Key]) -> int | None:
        """Return the line of a field; of the nearest field around it where it is missing."""
        for length in range(len(path), -1, -1):
            if tuple(path[:length]) in self.lines:
                return self.lines[tuple(path[:length])]
        return None

    def problem(self, path: Sequence[Key], message: str) -> Problem:
        """Return what is wrong with a field."""
        return Problem(message, self.file, self.line(path), dotted(path))


def read_yaml(path: Path, kind: str | None = None) -> Document:
    """Read the document of this kind, or the only one, of a YAML or JSON file.

    Raises:
        InputError: it cannot be opened, is no YAML, or does not have just one such document.
    """
    return parse_yaml(read_text(path), str(path), kind)


def read_text(path: Path) -> str:
    """Read a file of UTF-8.

    Raises:
        InputError: it cannot be opened, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror or error}", str(path))) from None
    except UnicodeDecodeError as error:
        raise InputError(Problem(f"is no UTF-8 text: {error.reason} at byte {error.start}", str(path))) from None


def parse_yaml(text: str, file: str, kind: str | None = None) -> Document:
    """Parse the document of this kind, or the only one, of a YAML stream.

    Raises:
        InputError: as `read_yaml`.
    """
    try:
        found = list(YAML(typ="safe", pure=True).load_all(io.StringIO(text)))
        nodes = list(YAML(typ="safe", pure=True).compose_all(io.StringIO(text)))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise InputError(Problem(f"is no YAML: {_first_line(error.problem)}", file, line)) from None
    except (YAMLError, ValueError) as error:
        raise InputError(Problem(f"is no YAML: {_first_line(str(error))}", file)) from None
    except RecursionError:
        raise InputError(Problem("is no YAML: it is nested too deeply", file)) from None
    pairs = [(data, node) for data, node in zip(found, nodes, strict=True) if data is not None]
    located = [(data, _lines(node, file)) for data, node in pairs]
    documents = [Document(file, with_whole_characters(data), lines) for data, lines in located]
    if len(documents) > 1 and kind is not None:
        documents = [each for each in documents if isinstance(each.data, dict) and each.data.get("kind") == kind]
    if len(documents) != 1:
        raise InputError(Problem(f"holds {len(documents)} documents and must hold one {kind or ''}".strip(), file))
    return documents[0]


def _lines(node: Any, file: str) -> dict[Path_, int]:
    lines: dict[Path_, int] = {}
    waiting: list[tuple[Path_, Any]] = [((), node)]
    while waiting:
        path, each = waiting.pop()
        lines.setdefault(path, each.start_mark.line + 1)
        if len(lines) > MOST_FIELDS or len(path) > DEEPEST:
            raise InputError(Problem("is too large for a manifest, or contains itself", file))
        if each.id == "mapping":
            for key, value in each.value:
                lines[(*path, str(key.value))] = key.start_mark.line + 1
                waiting.append(((*path, str(key.value)), value))
        elif each.id == "sequence":
            waiting += [((*path, index), value) for index, value in enumerate(each.value)]
    return lines


def with_whole_characters(data: Any) -> Any:
    r"""Return the data with characters whole that JSON wrote as two escapes; half a one becomes U+FFFD.

    >>> with_whole_characters(["\ud83d\ude00", 1]) == ["\U0001f600", 1]
    True
    """
    if isinstance(data, str):
        return data if data.isascii() else data.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(data, dict):
        return {with_whole_characters(key): with_whole_characters(value) for key, value in data.items()}
    return [with_whole_characters(value) for value in data] if isinstance(data, list) else data


def dotted(path: Sequence[Key]) -> str:
    """Return a path as people write it.

    >>> dotted(("spec", "hyperparameters", 2, "low"))
    'spec.hyperparameters[2].low'
    """
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def to_yaml(data: Any) -> str:
    """Return data as a YAML document in the given order of fields, one value whether read as YAML 1.1 or 1.2."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Careful
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    stream = io.StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()


class _Careful(SafeRepresenter):
    """Quotes the texts that YAML 1.1, which kubectl reads, takes for something else: on, yes, 1_000, 1:30."""


def _text(representer: SafeRepresenter, text: str) -> ScalarNode:
    node: ScalarNode = representer.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))
    return node


def _style(text: str) -> str | None:
    lines = text.split("\n")
    if not all(map(str.isprintable, lines)):
        return '"'
    if len(lines) > 1:
        return "|" if all(line == line.strip() for line in lines) and text.strip() else '"'
    return "'" if text.lower() in NO_TEXT_IN_YAML_1_1 or text[:1] in "0123456789+-." else None


_Careful.add_representer(str, _text)


def _first_line(text: str | None) -> str:
    return (text or "it cannot be parsed").strip().splitlines()[0]
