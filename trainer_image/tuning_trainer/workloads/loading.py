"""Find a workload by its name, or in a file of the user's own."""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from tuning_contract.environment import ParameterValue
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.parameters import WORKLOADS, Parameters


def own_file(given: Mapping[str, ParameterValue]) -> Path | None:
    """Return the path of the user's file, where the parameters name one and no workload of ours."""
    workload = given.get("workload", "digits")
    return Path(workload) if isinstance(workload, str) and workload.endswith(".py") else None


def parameters_from(given: Mapping[str, ParameterValue]) -> Parameters:
    """Return the parameters of a run; those that a user's own file adds are known too.

    Raises:
        ConfigurationError: a name is unknown or a value impossible, or the file cannot be used.
    """
    path = own_file(given)
    if path is None:
        return Parameters.from_mapping(given)
    kind = getattr(module_at(path), "Parameters", Parameters)
    if not (isinstance(kind, type) and issubclass(kind, Parameters)):
        raise ConfigurationError(f"Parameters in {path} must be derived from tuning_trainer.parameters.Parameters")
    return kind.from_mapping(given)


def workload_module(parameters: Parameters) -> ModuleType:
    """Return the module whose `make_workload(parameters)` makes the workload that the parameters name.

    Raises:
        ConfigurationError: it is a user's file that cannot be used.
    """
    if parameters.workload in WORKLOADS:
        return importlib.import_module(f"tuning_trainer.workloads.{parameters.workload}")
    return module_at(Path(parameters.workload))


@functools.cache
def module_at(path: Path) -> ModuleType:
    """Import a file that is in no package.

    Raises:
        ConfigurationError: there is none, importing it fails, or it has no `make_workload`.
    """
    # A name of its own: a file called json.py must not become Python's json.
    spec = importlib.util.spec_from_file_location(f"tuning_workload_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigurationError(f"workload is {path}, and there is no such Python file in this container")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there for the meaning of annotations
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the file does
        raise ConfigurationError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(getattr(module, "make_workload", None)):
        raise ConfigurationError(f"{path} has no function make_workload(parameters)")
    return module
