"""From models to CustomResourceDefinitions: a pure function, which `make generate` writes to manifests/crd.

The API server takes a narrow dialect of JSON Schema ("structural"): everything inline, one type a field, no null.
Whatever pydantic may emit that has no translation here is refused, so that a new kind of field is looked at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import WithDefaultSchema

from tuning_operator.api.base import GROUP, VERSION
from tuning_operator.api.rules import Rule, validated_by

Schema = dict[str, Any]

RULES: Final = "x-kubernetes-validations"
PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"

DEFINITION_PREFIX = "#/$defs/"
NULL: Schema = {"type": "null"}
FORMATS = {"number": "double", "integer": "int64"}
EXCLUSIVE = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}

# Keywords that mean the same in both dialects.
KEPT = frozenset(
    {"type", "format", "description", "default", "enum", "pattern", "minimum", "maximum", "required"}
    | {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
    | {RULES, PRESERVE, "x-kubernetes-list-type", "x-kubernetes-list-map-keys"}
)
DROPPED = frozenset({"title", "$defs"})
TRANSLATED = frozenset({"properties", "items", "additionalProperties", "const", *EXCLUSIVE})
ORDER = ("description", "type", "format", "enum", "default", "required", "properties")


class SchemaError(Exception):
    """A model has a field that a structural schema cannot express."""


@dataclass(frozen=True)
class Column:
    """One column of `kubectl get`; with `wide`, of `kubectl get -o wide` only."""

    name: str
    path: str
    type: str = "string"
    description: str = ""
    wide: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the column as the CRD writes it."""
        column: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        if self.type == "number":
            column["format"] = "double"
        if self.description:
            column["description"] = self.description
        if self.wide:
            column["priority"] = 1
        return column


@dataclass(frozen=True)
class Resource:
    """A kind of custom resource, as its CRD describes it."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    """Rules that need both spec and status."""
    scale: tuple[str, str] | None = None
    """The paths of the wanted and of the actual number, for `kubectl scale`."""
    selectable_fields: tuple[str, ...] = ()


def definition(resource: Resource) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a resource."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{resource.plural}.{GROUP}",
            "labels": {"app.kubernetes.io/name": "tuning-operator", "app.kubernetes.io/component": "crd"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": list(resource.short_names),
                "categories": ["tuning"],
            },
            "versions": [_version(resource)],
        },
    }


def object_schema(resource: Resource) -> Schema:
    """Return the schema of a whole object: metadata, spec and status."""
    schema: Schema = {
        "description": resource.description,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": f"{GROUP}/{VERSION}.", "type": "string"},
            "kind": {"description": f"{resource.kind}.", "type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(resource.spec),
            # A status says what the operator wrote and nothing else.
            "status": structural_schema(resource.status, defaults=False),
        },
    }
    if resource.rules:
        schema |= validated_by(*resource.rules)
    return schema


def structural_schema(model: type[BaseModel], *, defaults: bool = True) -> Schema:
    """Return the structural schema of a model; without `defaults` the API server fills nothing in.

    Raises:
        SchemaError: a field has no description, or a kind that a structural schema cannot express.
    """
    schema = model.model_json_schema(schema_generator=_DefaultsOfFactories)
    return _Flattener(schema.get("$defs", {}), defaults).flatten(schema, model.__name__)


def _version(resource: Resource) -> dict[str, Any]:
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [column.to_json() for column in resource.columns],
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": object_schema(resource)},
    }
    if resource.scale is not None:
        wanted, actual = resource.scale
        version["subresources"]["scale"] = {"specReplicasPath": wanted, "statusReplicasPath": actual}
    if resource.selectable_fields:
        version["selectableFields"] = [{"jsonPath": path} for path in resource.selectable_fields]
    return version


class _DefaultsOfFactories(GenerateJsonSchema):
    """Also write the default of a field that a factory makes: an empty object, whose fields then have defaults."""

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        written = super().default_schema(schema)
        if "default_factory" in schema and "default" not in written:
            written = written | {"default": [] if written.get("type") == "array" else {}}
        return written


class _Flattener:
    def __init__(self, definitions: Mapping[str, Schema], defaults: bool) -> None:
        self._definitions = definitions
        self._defaults = defaults

    def flatten(self, schema: Schema, path: str, ancestors: tuple[str, ...] = ()) -> Schema:
        """Return the schema at `path` with everything inline; `ancestors` are the definitions that it is part of."""
        node, ancestors = self._inlined(schema, path, ancestors)
        unknown = node.keys() - KEPT - DROPPED - TRANSLATED
        if unknown:
            raise SchemaError(f"{path}: no translation for {', '.join(sorted(unknown))}")
        flat = {keyword: value for keyword, value in node.items() if keyword in KEPT}
        flat |= _scalar_keywords(node)
        flat |= self._children(node, path, ancestors)
        if flat.get("default") is None or not self._defaults:
            flat.pop("default", None)
        if "type" not in flat:
            flat[PRESERVE] = True  # typing.Any
        return _ordered(flat)

    def _inlined(self, schema: Schema, path: str, ancestors: tuple[str, ...]) -> tuple[Schema, tuple[str, ...]]:
        """Replace references and optional types by what they stand for; keywords beside them win."""
        node = dict(schema)
        while True:
            if "$ref" in node:
                name = node.pop("$ref").removeprefix(DEFINITION_PREFIX)
                if name in ancestors:
                    raise SchemaError(f"{path}: {name} contains itself")
                ancestors = (*ancestors, name)
                node = _merged(self._definitions[name], node)
            elif "anyOf" in node:
                branches = [branch for branch in node.pop("anyOf") if branch != NULL]
                if len(branches) != 1:
                    raise SchemaError(f"{path}: one type a field; a union needs optional fields and a rule")
                node = _merged(branches[0], node)
            else:
                return node, ancestors

    def _children(self, node: Schema, path: str, ancestors: tuple[str, ...]) -> Schema:
        children: Schema = {}
        if "properties" in node:
            children["properties"] = {
                name: self._property(field, f"{path}.{name}", ancestors) for name, field in node["properties"].items()
            }
        if "items" in node:
            children["items"] = self.flatten(node["items"], f"{path}[]", ancestors)
        additional = node.get("additionalProperties", False)
        if isinstance(additional, Mapping):
            children["additionalProperties"] = self.flatten(dict(additional), f"{path}{{}}", ancestors)
        elif additional:
            children[PRESERVE] = True
        return children

    def _property(self, schema: Schema, path: str, ancestors: tuple[str, ...]) -> Schema:
        flat = self.flatten(schema, path, ancestors)
        if not flat.get("description"):
            raise SchemaError(f"{path} has no description")
        return flat


def _merged(inner: Schema, outer: Schema) -> Schema:
    """What a field says beside its type wins over what the type says; rules of both hold."""
    merged = inner | outer
    rules = [*inner.get(RULES, []), *outer.get(RULES, [])]
    return merged | {RULES: rules} if rules else merged


def _scalar_keywords(node: Schema) -> Schema:
    """Translate numbers' formats, exclusive bounds (a Boolean beside the bound) and constants."""
    keywords: Schema = {}
    if node.get("type") in FORMATS:
        keywords["format"] = node.get("format", FORMATS[node["type"]])
    for exclusive, bound in EXCLUSIVE.items():
        if exclusive in node:
            keywords |= {bound: node[exclusive], exclusive: True}
    if "const" in node:
        keywords["enum"] = [node["const"]]
    return keywords


def _ordered(schema: Schema) -> Schema:
    """Put what people look for first."""
    return {keyword: schema[keyword] for keyword in _first(ORDER, schema)}


def _first(preferred: Sequence[str], keywords: Iterable[str]) -> list[str]:
    present = list(keywords)
    return [keyword for keyword in preferred if keyword in present] + [
        keyword for keyword in present if keyword not in preferred
    ]
