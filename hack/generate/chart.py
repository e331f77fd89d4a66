"""What the Helm chart shares with the rest: CRDs, admission policies, and the table of values in its README."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from hack.generate.crds import crds
from hack.generate.files import Files, yaml_text
from hack.paths import ROOT
from tuning_operator.api.policies import ServiceAccount, admission_policies

SOURCE: Final = "operator/tuning_operator/api/policies.py"

CHART: Final = Path("charts/tuning-operator")
VALUES: Final = CHART / "values.yaml"
README: Final = CHART / "README.md"
TABLE: Final = re.compile(r"(<!-- values: .*? -->\n).*?(<!-- end of values -->)", re.DOTALL)

NAMESPACE, ACCOUNT, PREFIX = "--namespace--", "--service-account--", "--prefix--"
"""Stand in the generated policies for what only the release knows; templates/policies.yaml replaces them."""

COMMENT: Final = re.compile(r"^(?P<indent> *)# (?P<begins>-- )?(?P<text>.*)$")
KEY: Final = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]+):(?P<value>.*)$")


@dataclass(frozen=True)
class Value:
    """One value that a user may set."""

    path: str
    default: Any
    description: str


def chart() -> Files:
    """Return the chart's generated files."""
    policies = admission_policies(ServiceAccount(NAMESPACE, ACCOUNT), prefix=PREFIX)
    return {
        **{CHART / "files/crd" / path.name: text for path, text in crds().items()},
        CHART / "files/policies.yaml": yaml_text([{"documents": policies}], SOURCE),
        README: readme((ROOT / README).read_text(), (ROOT / VALUES).read_text()),
    }


def readme(text: str, values: str) -> str:
    """Return the README with the table of values in its place."""
    if not TABLE.search(text):
        raise ValueError(f"{README} has no place for the table of values: {TABLE.pattern}")
    rows = ["| Value | Default | Meaning |", "|---|---|---|", *(_row(value) for value in described(values))]
    return TABLE.sub(lambda match: match[1] + "\n".join(rows) + "\n" + match[2], text)


def described(values: str) -> Iterator[Value]:
    """Find the values that a comment beginning with `# --` describes, in the file's order.

    >>> [(value.path, value.default) for value in described('image:\\n  # -- The tag.\\n  tag: ""\\n')]
    [('image.tag', '')]
    """
    defaults = YAML(typ="safe", pure=True).load(values)
    ancestors: list[tuple[int, str]] = []
    words: list[str] | None = None
    for line in values.splitlines():
        if comment := COMMENT.match(line):
            words = [comment["text"]] if comment["begins"] else (words and [*words, comment["text"]])
        elif key := KEY.match(line):
            depth = len(key["indent"])
            ancestors = [*(above for above in ancestors if above[0] < depth), (depth, key["key"])]
            path = [name for _, name in ancestors]
            if words:
                yield Value(".".join(path), _at(defaults, path), " ".join(words))
            words = None
        else:
            words = None


def _row(value: Value) -> str:
    default = _json(value.default)
    return f"| `{value.path}` | `{default}` | {value.description} |"


def _json(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value == "" else str(value)


def _at(values: Any, path: list[str]) -> Any:
    for key in path:
        values = values[key]
    return values
