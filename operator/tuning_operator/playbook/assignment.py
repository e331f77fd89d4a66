"""Which hyperparameter a container's parameter stood for: several may share a name under different conditions."""

from collections.abc import Mapping

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter, Role
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.search.space import Assignment, exists, fixed_value, in_dependency_order


def resolve(spec: TuningStudySpec, parameters: Mapping[str, ParameterValue]) -> Assignment:
    """Return the value of each hyperparameter that existed, by the hyperparameter's name.

    An integer that stands for a Float is that float, as JSON writers drop the `.0`. A fixed hyperparameter that is
    missing has its fixed value; parameters that the study does not have are left out.

    Raises:
        ValueError: a searched hyperparameter exists under its condition and its parameter is missing; the message
            names it.
    """
    assignment: Assignment = {}
    for hyperparameter in in_dependency_order(spec.hyperparameters):
        if not exists(hyperparameter, assignment):
            continue
        name = hyperparameter.parameter_name
        if name in parameters:
            assignment[hyperparameter.name] = _like(hyperparameter, parameters[name])
        elif hyperparameter.role is Role.FIXED:
            assignment[hyperparameter.name] = fixed_value(hyperparameter)
        else:
            raise ValueError(f"parameters.{name} is missing")
    return assignment


def _like(hyperparameter: Hyperparameter, value: ParameterValue) -> ParameterValue:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_integer and hyperparameter.effective_value_type.value == "Float" else value
