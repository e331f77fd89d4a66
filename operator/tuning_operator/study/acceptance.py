"""Whether a study can run: what the API server cannot check, each refusal with what to change."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import combinations

from tuning_contract.environment import PARAMETER_PREFIX, parameter_variable
from tuning_contract.pack import OF_THE_PROCESS, ONE_TRIALS_OWN
from tuning_operator.api.hyperparameters import Hyperparameter, Role
from tuning_operator.api.procedure import Lint
from tuning_operator.api.search import Algorithm
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.length.batch_size_probes import batch_size_parameters, depending_on_batch_size
from tuning_operator.playbook.length.throughput import batch_sizes
from tuning_operator.search.arms import arms_of
from tuning_operator.search.grid import MAX_GRID, grid_size
from tuning_operator.search.own_points import PointError, check_points
from tuning_operator.study import lint
from tuning_operator.study.durations import parse_duration
from tuning_operator.study.snapshot import Snapshot


class Refused(Exception):  # noqa: N818 - it is a verdict and not an error of the program
    """The study cannot run as it is."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def check(snapshot: Snapshot) -> None:
    """Check a study before anything of it runs, and again whenever it changes.

    Raises:
        Refused: with the condition's reason, and a message that says what to change.
    """
    study = snapshot.study
    check_specification(study.spec)
    check_lint(study.name, study.spec)
    accepted = study.status.template_hash
    if accepted is not None and accepted != study.template_hash:
        raise Refused(
            "TemplateChanged",
            "spec.trial was changed after the study was accepted; trials of one study must be comparable: "
            "restore it, or create a new study",
        )
    if snapshot.dry_run_error is not None:
        raise Refused("TemplateInvalid", f"the API server refuses a trial's Job: {snapshot.dry_run_error}")


def check_specification(spec: TuningStudySpec) -> None:
    """Check what follows from the specification alone.

    Raises:
        Refused: see `check`.
    """
    try:
        arms_of(spec)
    except ValueError as error:
        raise Refused("SearchSpaceInvalid", f"spec.hyperparameters: {error}") from None
    _check_search(spec)
    check_stopping(spec)
    by_name = {h.name: h for h in spec.hyperparameters}
    for one, other in combinations(spec.hyperparameters, 2):
        if _variable(one) == _variable(other) and not _exclude_each_other(one, other, by_name):
            raise Refused(
                "ParameterAmbiguous",
                f"hyperparameters {one.name} and {other.name} both set {_what_is_set(one, other)}, and both can exist "
                "in one trial: give them `when` on the same hyperparameter with different values",
            )
    _check_container(spec)
    _check_packing(spec)
    _check_batch_sizes(spec)
    if spec.budget.max_duration is not None and parse_duration(spec.budget.max_duration).total_seconds() <= 0:
        raise Refused("BudgetInvalid", "spec.budget.maxDuration must be longer than nothing")


def check_lint(name: str, spec: TuningStudySpec) -> None:
    """Check what `spec.lint: Enforce` asks for: a study of which the Playbook would draw a conclusion.

    Raises:
        Refused: see `check`.
    """
    blocking = lint.blocking(name, spec) if spec.lint is Lint.ENFORCE else []
    if blocking:
        raise Refused(
            "PlaybookLint",
            f"spec.lint is Enforce, and the Playbook would draw no conclusion: {lint.told(blocking)} To run it all the "
            "same, use lint Warn, or name it in spec.acknowledge with your reason",
        )


def _check_search(spec: TuningStudySpec) -> None:
    try:
        check_points(spec)
    except PointError as error:
        raise Refused("PointInvalid", str(error)) from None
    sizes = [grid_size(spec, arm) for arm in arms_of(spec)] if spec.search.algorithm is Algorithm.GRID else []
    if sum(sizes) > MAX_GRID:
        raise Refused(
            "GridTooLarge",
            f"the grid has {sum(sizes)} points, more than {MAX_GRID}: lower spec.search.pointsPerRange, "
            "or use QuasiRandom, whose points are spread evenly however many there are",
        )


def check_stopping(spec: TuningStudySpec) -> None:
    """Check that the stopping rule can compare trials.

    Raises:
        Refused: see `check`.
    """
    stopping = spec.stopping
    if stopping.rule.compares and all(h.parameter_name != stopping.steps_parameter for h in spec.hyperparameters):
        raise Refused(
            "StoppingInvalid",
            f"rule {stopping.rule} compares trials at equal fractions of their schedules, whose length the parameter "
            f"{stopping.steps_parameter} (spec.stopping.stepsParameter) would tell: no hyperparameter sets it. "
            "Name the one that does, or use rule DivergedOnly",
        )


def _variable(hyperparameter: Hyperparameter) -> str:
    """Return the container's variable for a hyperparameter: names that differ in case alone share one."""
    return parameter_variable(hyperparameter.parameter_name)


def _what_is_set(one: Hyperparameter, other: Hyperparameter) -> str:
    same = one.parameter_name == other.parameter_name
    return f"the parameter {one.parameter_name}" if same else f"the variable {_variable(one)}"


def _exclude_each_other(one: Hyperparameter, other: Hyperparameter, by_name: Mapping[str, Hyperparameter]) -> bool:
    """Whether no trial has both: some hyperparameter that both depend on would need two values at once."""
    needs, other_needs = _needed_values(one, by_name), _needed_values(other, by_name)
    return any(not needs[name] & other_needs[name] for name in needs.keys() & other_needs.keys())


def _needed_values(hyperparameter: Hyperparameter, by_name: Mapping[str, Hyperparameter]) -> dict[str, set[str]]:
    """Return which values of which hyperparameters this one needs to exist, through nested conditions."""
    needed: dict[str, set[str]] = {}
    when = hyperparameter.when
    while when is not None:
        parent = by_name[when.name]
        needed[when.name] = set(when.values) & ({parent.value or ""} if parent.role is Role.FIXED else set(when.values))
        when = parent.when
    return needed


def _check_container(spec: TuningStudySpec) -> None:
    containers = spec.trial.template.spec.get("containers")
    if not isinstance(containers, Sequence) or not containers:
        raise Refused("TemplateInvalid", "spec.trial.template.spec.containers must have at least one container")
    if not all(isinstance(container, dict) for container in containers):
        raise Refused("TemplateInvalid", "each of spec.trial.template.spec.containers must be an object with a name")
    names = [container.get("name") for container in containers]
    if spec.trial.container is not None and spec.trial.container not in names:
        raise Refused(
            "TemplateInvalid",
            f"spec.trial.container is {spec.trial.container}; the template has {', '.join(map(str, names))}",
        )


def _check_batch_sizes(spec: TuningStudySpec) -> None:
    """A probe is a trial of the search at another batch size: it must hear of that, and else have the same parameters.

    Raises:
        Refused: see `check`.
    """
    if spec.training.batch_sizes is None:
        return
    if not batch_size_parameters(spec):
        raise Refused(
            "SearchSpaceInvalid",
            "spec.training.batchSizes is set, and no hyperparameter is the batch size: add it (the role Fixed will "
            "do), or give it the meaning batchSize",
        )
    for parameter in batch_size_parameters(spec):
        if parameter.low is None and not batch_sizes(parameter):
            raise Refused(
                "SearchSpaceInvalid",
                f"spec.training.batchSizes is set, and the batch size {parameter.name} has no number: write its values "
                "as numbers, or give the meaning batchSize to the hyperparameter that is the batch size",
            )
    if dependent := depending_on_batch_size(spec):
        raise Refused(
            "SearchSpaceInvalid",
            f"spec.training.batchSizes is set, and {', '.join(dependent)} exists at some batch sizes only: remove that "
            "`when`, or measure the throughput in a study of its own",
        )


def _check_packing(spec: TuningStudySpec) -> None:
    """Trials that share a process have no variables of their own that a template could refer to, and some metrics that
    are of all of them."""
    if spec.trial.max_packed == 1:
        return
    shared = sorted({spec.objective.metric, *spec.further_metrics} & OF_THE_PROCESS)
    if shared:
        raise Refused(
            "ObjectiveInvalid",
            f"spec.trial.maxPacked is {spec.trial.max_packed}, and {', '.join(shared)} is measured of a whole process: "
            "remove maxPacked, or use another metric",
        )
    container = next(c for c in spec.trial.template.spec["containers"] if spec.trial.container in (None, c.get("name")))
    text = json.dumps([container.get(field) for field in ("command", "args", "env")])
    used = sorted(set(re.findall(r"\$\((TUNING_[A-Z0-9_]+)\)", text)))
    missing = [name for name in used if name in ONE_TRIALS_OWN or name.startswith(PARAMETER_PREFIX)]
    if missing:
        raise Refused(
            "TemplateInvalid",
            f"spec.trial.maxPacked is {spec.trial.max_packed}, and the template uses {', '.join(missing)}, which only "
            "a trial with a process of its own has: read the trials from TUNING_PACK, or remove maxPacked",
        )
