"""study.yaml: a TuningStudy, checked as the API server and the operator would check it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from tuning_cli.problems import InputError, Problem, Warnings, shown
from tuning_cli.reading.places import Document, read_yaml
from tuning_cli.reading.schema import broken_rules, duplicates, study_schema, unknown_fields, with_defaults
from tuning_operator.api.base import API_VERSION
from tuning_operator.api.stopping import Stopping
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.study.acceptance import Refused, check_specification, check_stopping

KIND: Final = "TuningStudy"
DEFAULT_TRIAL: Final[Mapping[str, Any]] = {"template": {"spec": {"containers": [{"name": "trainer"}]}}}
"""Where a study was never meant for a cluster: the operator's default trainer."""


@dataclass(frozen=True)
class StudyFile:
    """A study as it was read."""

    name: str
    spec: TuningStudySpec
    manifest: Mapping[str, Any]
    """The whole object, what was left out filled in."""
    file: str = ""


def read_study(path: Path, warnings: Warnings) -> StudyFile:
    """Read a TuningStudy from YAML or JSON.

    Raises:
        InputError: it is no valid TuningStudy; each problem names line and field.
    """
    return study_of(read_yaml(path, KIND), warnings)


def study_of(document: Document, warnings: Warnings) -> StudyFile:
    """Return the study in a document.

    Raises:
        InputError: as `read_study`.
    """
    data = document.data
    if not isinstance(data, dict):
        raise InputError(document.problem((), f"must be a {KIND}, not {shown(data)}"))
    if data.get("kind", KIND) != KIND:
        raise InputError(document.problem(("kind",), f"must be {KIND}, not {shown(data['kind'])}"))
    if data.get("apiVersion", API_VERSION) != API_VERSION:
        raise InputError(document.problem(("apiVersion",), f"must be {API_VERSION}, not {shown(data['apiVersion'])}"))
    spec = data.get("spec")
    if not isinstance(spec, dict):
        raise InputError(document.problem(("spec",), "is missing" if spec is None else "must be an object"))
    for path in unknown_fields(data, study_schema()):
        warnings.add(document.problem(path, "is no field of a TuningStudy and is ignored"))
    manifest = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": _name(document)}, **data}
    manifest["spec"] = _completed(document, spec, warnings)
    return StudyFile(_name(document), _checked(document, manifest, warnings), manifest, document.file)


def _name(document: Document) -> str:
    metadata = document.data.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) and name else Path(document.file).stem or "study"


def _completed(document: Document, spec: dict[str, Any], warnings: Warnings) -> dict[str, Any]:
    """Fill in what only a cluster needs, so that a study can be written down for an analysis alone."""
    if "trial" in spec:
        return spec
    warnings.add(
        document.problem(
            ("spec", "trial"), "is missing: the next study gets the operator's default trainer as template"
        )
    )
    return {**spec, "trial": dict(DEFAULT_TRIAL)}


def _checked(document: Document, manifest: Mapping[str, Any], warnings: Warnings) -> TuningStudySpec:
    try:
        spec = TuningStudySpec.model_validate_json(json.dumps(manifest["spec"]), strict=True)
    except ValidationError as error:
        raise InputError([_problem(document, each) for each in error.errors()]) from None
    except (ValueError, TypeError) as error:  # a value that JSON does not have, such as a date
        raise InputError(document.problem(("spec",), f"cannot be written as JSON: {error}")) from None
    schema = study_schema()
    complete = with_defaults(_without_nulls(manifest), schema)
    broken = [*duplicates(complete, schema), *broken_rules(complete, schema)]
    if broken:
        raise InputError([document.problem(path, message) for path, message in broken])
    try:
        check_specification(_without_stopping(document, spec, warnings))
    except Refused as refusal:
        raise InputError(document.problem(("spec",), refusal.message)) from None
    return spec


def _without_stopping(document: Document, spec: TuningStudySpec, warnings: Warnings) -> TuningStudySpec:
    """Return the spec without a stopping rule that could not run: trials that have ended can be analysed all the same.

    That trials were stopped by comparison is itself something to tell (CKP-4).
    """
    try:
        check_stopping(spec)
    except Refused as refusal:
        warnings.add(document.problem(("spec", "stopping"), f"{refusal.message}. A cluster would refuse the study"))
        return spec.model_copy(update={"stopping": Stopping()})
    return spec


def _without_nulls(data: Any) -> Any:
    """Return the data without fields that are null: to the API server they are absent."""
    if isinstance(data, Mapping):
        return {name: _without_nulls(value) for name, value in data.items() if value is not None}
    return [_without_nulls(value) for value in data] if isinstance(data, list) else data


def _problem(document: Document, error: Any) -> Problem:
    path = ("spec", *error["loc"])
    if error["type"] == "missing":
        return document.problem(path, "is missing")
    hint = (
        ": put it in quotes" if error["type"] == "string_type" and not isinstance(error["input"], dict | list) else ""
    )
    return document.problem(path, f"{_demand(error['msg'])}, not {shown(error['input'])}{hint}")


def _demand(message: str) -> str:
    """Return pydantic's message as the others are: what must be.

    >>> _demand("Input should be a valid string"), _demand("String should have at most 8 characters")
    ('must be a text', 'must have at most 8 characters')
    """
    nouns = {"string": "a text", "dictionary": "an object", "boolean": "true or false"}
    rest = re.sub(r"^\w+ should ", "", message).replace("'", '"')
    rest = re.sub(r" after validation, not \d+$", "", rest)  # the value itself says how many
    noun = re.fullmatch(r"be an? (?:valid )?(\w+)", rest)
    if noun and noun[1] in nouns:
        return f"must be {nouns[noun[1]]}"
    return f"must {rest.replace('a valid ', 'a ').replace('a integer', 'an integer')}"
