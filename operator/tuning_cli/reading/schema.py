"""What the API server would say to a manifest: fields that it does not know, and the CEL rules that it checks.

The rules are those of the CRD itself, evaluated here: there is no second copy of them that could differ.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import cel

from tuning_operator.api.crd import PRESERVE, RULES, object_schema
from tuning_operator.api.resources import STUDY

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]
BEFORE: Final = "oldSelf"
"""Rules that mention it compare with an earlier version, which a file does not have."""


@cache
def study_schema() -> Schema:
    """Return the structural schema of a TuningStudy."""
    return object_schema(STUDY)


def unknown_fields(data: Any, schema: Schema, path: Path = ()) -> Iterator[Path]:
    """Yield the path of each field that the schema does not have; the API server drops these."""
    if isinstance(data, Mapping) and not schema.get(PRESERVE):
        properties, additional = schema.get("properties", {}), schema.get("additionalProperties")
        if not properties and not additional:
            return  # metadata: an object of another schema
        for name, value in data.items():
            child = properties.get(name, additional)
            if child is None:
                yield (*path, name)
            else:
                yield from unknown_fields(value, child, (*path, name))
    elif isinstance(data, Sequence) and not isinstance(data, str):
        for index, value in enumerate(data):
            yield from unknown_fields(value, schema.get("items", {}), (*path, index))


def with_defaults(data: Any, schema: Schema) -> Any:
    """Return the data with the defaults of the schema, as the API server fills them in before it checks."""
    if isinstance(data, Mapping) and "properties" in schema:
        filled = {name: with_defaults(value, schema["properties"].get(name, {})) for name, value in data.items()}
        for name, child in schema["properties"].items():
            if name not in filled and "default" in child:
                filled[name] = with_defaults(copy.deepcopy(child["default"]), child)
        return filled
    if isinstance(data, list) and "items" in schema:
        return [with_defaults(value, schema["items"]) for value in data]
    return data


def broken_rules(data: Any, schema: Schema, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield the field and the message of each rule that the data breaks, in the API server's words."""
    if data is None or schema.get(PRESERVE):
        return
    for rule in schema.get(RULES, ()):
        if BEFORE not in rule["rule"] and not _holds(rule["rule"], data):
            yield path + _field_path(rule.get("fieldPath", "")), _message(rule, data)
    if isinstance(data, Mapping):
        for name, child in schema.get("properties", {}).items():
            yield from broken_rules(data.get(name), child, (*path, name))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from broken_rules(value, schema.get("items", {}), (*path, index))


def duplicates(data: Any, schema: Schema, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield what stands twice in a list whose items must differ: whole, or in the fields that are its keys."""
    if isinstance(data, Mapping):
        for name, child in schema.get("properties", {}).items():
            yield from duplicates(data.get(name), child, (*path, name))
    elif isinstance(data, list):
        kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys", ())
        told = [[item.get(k) for k in keys] if kind == "map" else item for item in data]
        for index, value in enumerate(told):
            if kind in ("set", "map") and value in told[:index]:
                text = ", ".join(map(str, value)) if kind == "map" else str(value)
                yield (*path, index), f"{text} is there twice"
        for index, value in enumerate(data):
            yield from duplicates(value, schema.get("items", {}), (*path, index))


def _holds(rule: str, data: Any) -> bool:
    # A rule that cannot be evaluated is broken, for the API server as well.
    return _evaluated(rule, data) is True


def _message(rule: Mapping[str, str], data: Any) -> str:
    said = _evaluated(rule["messageExpression"], data) if "messageExpression" in rule else None
    return said if isinstance(said, str) and said else rule["message"]


def _evaluated(expression: str, data: Any) -> Any:
    try:
        context = cel.Context(variables={"self": data})
    except ValueError:  # keys that are no texts, which no field of ours has
        return None
    context.add_function("sets_contains", lambda container, items: all(item in container for item in items))
    context.add_function("sets_intersects", lambda one, other: any(item in other for item in one))
    context.add_function("format", _formatted)
    try:
        # The library has no functions with a namespace.
        return cel.evaluate(expression.replace("sets.", "sets_"), context)
    except (RuntimeError, ValueError, TypeError, OverflowError):
        return None


def _formatted(text: str, arguments: Sequence[Any]) -> str:
    return text.replace("%d", "%s") % tuple(arguments)


def _field_path(text: str) -> Path:
    return tuple(text.removeprefix(".").split(".")) if text else ()
