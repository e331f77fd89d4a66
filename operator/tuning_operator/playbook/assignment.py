"""Which hyperparameter a container's parameter stood for: several may share a name under different conditions."""

from collections.abc import Mapping

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Hyperparameter, Role, ValueType
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.search.space import Assignment, exists, fixed_value, in_dependency_order


def resolve(spec: TuningStudySpec, parameters: Mapping[str, ParameterValue]) -> Assignment:
    """Return the value of each hyperparameter that existed, by the hyperparameter's name.

    A number has the type of its hyperparameter: JSON writers drop the `.0` of a Float, and tables add one. A fixed
    hyperparameter that is missing has its fixed value; parameters that the study does not have are left out.

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
    """Return a number as the hyperparameter has it: 1 as 1.0 for a Float, and 64.0 as 64 for an Integer."""
    if isinstance(value, bool | str):
        return value
    match hyperparameter.effective_value_type:
        case ValueType.FLOAT:
            return float(value)
        case ValueType.INTEGER if float(value).is_integer():
            return int(value)
        case _:
            return value
