"""The flattener, on models of one field each: pydantic on the left, the API server's dialect on the right."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field, create_model

from tuning_operator.api.base import Model
from tuning_operator.api.crd import Resource, SchemaError, definition, object_schema, structural_schema
from tuning_operator.api.resources import RESOURCES, STUDY, TRIAL
from tuning_operator.api.rules import Reason, Rule, validated_by

DESCRIPTION = "What it is."
RULE = Rule("self.size() > 0", "it must not be empty")
RULE_JSON = {"rule": "self.size() > 0", "message": "it must not be empty"}


class Colour(StrEnum):
    """A closed set of words."""

    RED = "Red"
    BLUE = "Blue"


class Part(Model):
    """A nested object."""

    size: int = Field(1, description="How large.")


class Ruled(Model):
    """A nested object with a rule of its own."""

    model_config = ConfigDict(json_schema_extra=validated_by(RULE))

    size: int = Field(description="How large.")


class Tree(Model):
    """An object that contains itself."""

    child: "Tree | None" = Field(None, description="A smaller one.")


ShortText = Annotated[str, Field(max_length=8)]


def described(default: Any = ..., **keywords: Any) -> Any:
    """Return a field with the description that every field must have."""
    return Field(default, description=DESCRIPTION, **keywords)


FIELDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "text": (str, described(max_length=8, pattern="^a"), {"type": "string", "maxLength": 8, "pattern": "^a"}),
    "whole number": (int, described(ge=1, le=9), {"type": "integer", "format": "int64", "minimum": 1, "maximum": 9}),
    "number": (float, described(), {"type": "number", "format": "double"}),
    "number above zero": (
        float,
        described(gt=0),
        {"type": "number", "format": "double", "minimum": 0, "exclusiveMinimum": True},
    ),
    "number below one": (
        float,
        described(lt=1),
        {"type": "number", "format": "double", "maximum": 1, "exclusiveMaximum": True},
    ),
    "moment": (datetime, described(), {"type": "string", "format": "date-time"}),
    "switch": (bool, described(False), {"type": "boolean", "default": False}),
    "enum": (Colour, described(Colour.RED), {"type": "string", "enum": ["Red", "Blue"], "default": "Red"}),
    "literal": (Literal["a", "b"], described(), {"type": "string", "enum": ["a", "b"]}),
    "one literal": (Literal["a"], described(), {"type": "string", "enum": ["a"]}),
    "optional": (int | None, described(None, ge=1), {"type": "integer", "format": "int64", "minimum": 1}),
    "optional enum": (Colour | None, described(None), {"type": "string", "enum": ["Red", "Blue"]}),
    "set": (
        list[ShortText],
        described(max_length=4, json_schema_extra={"x-kubernetes-list-type": "set"}),
        {
            "type": "array",
            "items": {"type": "string", "maxLength": 8},
            "maxItems": 4,
            "x-kubernetes-list-type": "set",
        },
    ),
    "map": (
        dict[str, ShortText] | None,
        described(None, max_length=4),
        {"type": "object", "additionalProperties": {"type": "string", "maxLength": 8}, "maxProperties": 4},
    ),
    "free object": (dict[str, Any], described(), {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
    "anything": (Any, described(), {"x-kubernetes-preserve-unknown-fields": True}),
    "object": (
        Part,
        Field(default_factory=Part, description=DESCRIPTION),
        {
            "type": "object",
            "default": {},
            "properties": {
                "size": {"type": "integer", "format": "int64", "default": 1, "description": "How large."},
            },
        },
    ),
    "text with a rule": (
        str,
        described(max_length=8, json_schema_extra=validated_by(RULE)),
        {"type": "string", "maxLength": 8, "x-kubernetes-validations": [RULE_JSON]},
    ),
}


def field_schema(kind: Any, field: Any, **options: bool) -> dict[str, Any]:
    """Return the schema of a model's only field, which is called `field`."""
    model = create_model("Example", __base__=Model, field=(kind, field))
    schema: dict[str, Any] = structural_schema(model, **options)["properties"]["field"]
    assert schema.pop("description") == DESCRIPTION
    return schema


@pytest.mark.parametrize(("kind", "field", "expected"), FIELDS.values(), ids=FIELDS.keys())
def test_flattens(kind: Any, field: Any, expected: dict[str, Any]) -> None:
    assert field_schema(kind, field) == expected


def test_names_are_camel_case_and_required_ones_are_listed() -> None:
    model = create_model(
        "Example",
        __base__=Model,
        max_trials=(int, Field(description="How many.")),
        at_once=(int, Field(1, description="How many at once.")),
    )
    schema = structural_schema(model)
    assert list(schema["properties"]) == ["maxTrials", "atOnce"]
    assert schema["required"] == ["maxTrials"]


def test_rules_of_a_field_join_those_of_its_model() -> None:
    more = Rule("self.size < 9", "it must be small", reason=Reason.FORBIDDEN, field_path=".size")
    schema = field_schema(Ruled, described(json_schema_extra=validated_by(more)))
    assert schema["x-kubernetes-validations"] == [
        RULE_JSON,
        {"rule": "self.size < 9", "message": "it must be small", "fieldPath": ".size", "reason": "FieldValueForbidden"},
    ]


def test_a_status_has_no_defaults() -> None:
    assert "default" not in field_schema(Colour, described(Colour.RED), defaults=False)


REFUSED = {
    "a union": (int | str, described(), "one type a field"),
    "a tuple": (tuple[int, str], described(), "no translation for prefixItems"),
    "a set": (set[str], described(), "no translation for uniqueItems"),
    "a multiple": (int, described(multiple_of=2), "no translation for multipleOf"),
    "a tree": (Tree, described(), "Tree contains itself"),
}


@pytest.mark.parametrize(("kind", "field", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses_what_has_no_translation(kind: Any, field: Any, problem: str) -> None:
    with pytest.raises(SchemaError, match=problem):
        field_schema(kind, field)


def test_refuses_a_field_without_description() -> None:
    model = create_model("Example", __base__=Model, size=(int, ...))
    with pytest.raises(SchemaError, match=r"Example.size has no description"):
        structural_schema(model)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
def test_every_list_says_how_it_merges(resource: Resource) -> None:
    def lists_without(schema: dict[str, Any], path: str) -> list[str]:
        here = [path] if schema.get("type") == "array" and "x-kubernetes-list-type" not in schema else []
        children = schema.get("properties", {}) | ({"[]": schema["items"]} if "items" in schema else {})
        return here + [found for name, child in children.items() for found in lists_without(child, f"{path}.{name}")]

    assert lists_without(object_schema(resource), resource.kind) == []


def test_a_study_can_be_scaled() -> None:
    version = definition(STUDY)["spec"]["versions"][0]
    assert version["subresources"] == {
        "status": {},
        "scale": {"specReplicasPath": ".spec.budget.parallelTrials", "statusReplicasPath": ".status.trials.running"},
    }


def test_trials_can_be_selected_by_study_and_state() -> None:
    version = definition(TRIAL)["spec"]["versions"][0]
    assert version["selectableFields"] == [{"jsonPath": ".spec.studyRef.name"}, {"jsonPath": ".status.state"}]
