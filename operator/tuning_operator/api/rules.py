"""How a model declares the CEL rules that the API server checks for it.

A rule says in its message what to change. Where CEL can name the culprit, `message_expression` does; the plain message
stays, since the API server falls back on it and the reference documentation prints it.
"""

import json
from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue


class Reason(StrEnum):
    """The kind of error that a client sees."""

    INVALID = "FieldValueInvalid"
    REQUIRED = "FieldValueRequired"
    FORBIDDEN = "FieldValueForbidden"
    # Not FieldValueDuplicate: the API server says "Duplicate value" and leaves the rule's message out.


@dataclass(frozen=True)
class Rule:
    """One entry of `x-kubernetes-validations`: an object is refused where `rule` is false."""

    rule: str
    message: str
    message_expression: str | None = None
    field_path: str | None = None
    """The field to blame, below the place of the rule, such as `.high`."""
    reason: Reason = Reason.INVALID

    def to_json(self) -> dict[str, JsonValue]:
        """Return the rule as the CRD writes it."""
        entry: dict[str, JsonValue] = {"rule": self.rule, "message": self.message}
        if self.message_expression is not None:
            entry["messageExpression"] = self.message_expression
        if self.field_path is not None:
            entry["fieldPath"] = self.field_path
        if self.reason is not Reason.INVALID:  # the API server's default
            entry["reason"] = self.reason.value
        return entry


def validated_by(*rules: Rule) -> dict[str, JsonValue]:
    """Return what makes a model or field carry the rules: its `json_schema_extra`, or a part of it."""
    return {"x-kubernetes-validations": [rule.to_json() for rule in rules]}


def formatted(text: str, *arguments: str) -> str:
    """Return the CEL of a text with arguments in place of each %s (a text) or %d (a number).

    Its cost is known whatever the arguments are; the API server cannot bound that of a concatenation.

    >>> print(formatted('"%s" must be smaller than %d', "self.name", "self.limit"))
    "\\"%s\\" must be smaller than %d".format([self.name, self.limit])
    """
    return f"{json.dumps(text, ensure_ascii=False)}.format([{', '.join(arguments)}])"


def when_present(path: str, default: str) -> str:
    """Return the CEL for a field of `self` of which any part may be absent.

    >>> when_present("status.trials", "0")
    '(has(self.status) && has(self.status.trials) ? self.status.trials : 0)'
    """
    parts = path.split(".")
    prefixes = [".".join(parts[: length + 1]) for length in range(len(parts))]
    present = " && ".join(f"has(self.{prefix})" for prefix in prefixes)
    return f"({present} ? self.{path} : {default})"


def unchanged(field: str) -> str:
    """Return the CEL that refuses setting, removing and changing a field of an object.

    A rule on the field itself would not do: where the field is optional it does not fire when it comes or goes.
    """
    both = f"has(self.{field}) == has(oldSelf.{field})"
    return f"{both} && (!has(self.{field}) || self.{field} == oldSelf.{field})"
