"""Throughput at each batch size, as the probes have measured it (BAT-7, BAT-8)."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuning_contract.diagnostics import EXAMPLES_PER_SECOND, Throughput
from tuning_operator.api.hyperparameters import Hyperparameter, Meaning, Role
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import OUT_OF_MEMORY, Purpose, State, StudyRecord, TrialRecord

Table = Mapping[int, Throughput]
"""By batch size, ascending; `examples_per_second` is None where memory ran out."""

KEYED = (Meaning.OPTIMIZER, Meaning.MODEL_SIZE, Meaning.ACTIVATION, Meaning.NORMALIZATION, Meaning.PRECISION)
"""What a probe depends on beside the model's name and the device (BAT-14)."""


def probed(study: StudyRecord) -> Table:
    """Return what the study's probes have measured: of several at one size the median; out of memory if any was."""
    measured: dict[int, list[Throughput]] = {}
    for trial in study.trials:
        if trial.purpose is Purpose.BATCH_SIZE_PROBE and trial.state is not State.RUNNING:
            found = _throughput(study, trial)
            if found is not None:
                measured.setdefault(found.batch_size, []).append(found)
    return {size: _together(size, measured[size]) for size in sorted(measured)}


def known_throughput(study: StudyRecord, earlier: Sequence[StudyRecord]) -> Table:
    """Return what this study has measured, and what those before it have as far as it holds here (BAT-14).

    Args:
        study: The study.
        earlier: The studies before it, oldest first: the newest measurement at a size counts.
    """
    key = probe_key(study.spec)
    newest: dict[int, Throughput] = {}
    for each in (*earlier, study):
        if probe_key(each.spec) == key:
            newest |= probed(each)
    return {size: newest[size] for size in sorted(newest)}


def probe_key(spec: TuningStudySpec) -> str:
    """Return a text that changes where a probe must be repeated: with model, optimizer, precision, device (BAT-14)."""
    fixed: dict[str, Any] = {
        h.parameter_name: h.value if h.role is Role.FIXED else sorted(h.values or [])
        for h in spec.hyperparameters
        if meaning_of(h) in KEYED
    }
    return json.dumps([spec.training.model, fixed, _device(spec)], sort_keys=True)


def _throughput(study: StudyRecord, trial: TrialRecord) -> Throughput | None:
    """Return what one probe says: by its diagnostics, else by its batch size and the rate in its curve."""
    if trial.diagnostics.throughput is not None:
        told = trial.diagnostics.throughput
        return Throughput(told.batch_size, None) if trial.reason in OUT_OF_MEMORY else told
    size = batch_size_of(study, trial)
    if size is None:
        return None
    if trial.reason in OUT_OF_MEMORY:
        return Throughput(size, None)
    rates = trial.curve.series(EXAMPLES_PER_SECOND)
    rates = rates[np.isfinite(rates) & (rates > 0)]
    # The first window has the compilation in it.
    settled = rates[1:] if len(rates) > 1 else rates
    return Throughput(size, float(np.median(settled))) if len(settled) else None


def batch_size_of(study: StudyRecord, trial: TrialRecord) -> int | None:
    """Return the trial's batch size; None: no hyperparameter is known to be it."""
    for hyperparameter in study.spec.hyperparameters:
        value = trial.assignment.get(hyperparameter.name)
        if meaning_of(hyperparameter) is Meaning.BATCH_SIZE and value is not None:
            return as_size(value)
    return None


def as_size(value: object) -> int | None:
    """Return a parameter's value as a batch size, a text of digits too; None: it is none."""
    try:
        size = float(value)  # type: ignore[arg-type]  # what float() does not take is no size
    except (TypeError, ValueError):
        return None
    return int(size) if math.isfinite(size) and size >= 1 else None


def batch_sizes(hyperparameter: Hyperparameter) -> tuple[int, ...]:
    """Return the sizes that a list or a fixed batch size has."""
    texts: Sequence[str] = hyperparameter.values or ([hyperparameter.value] if hyperparameter.value else [])
    return tuple(size for text in texts if (size := as_size(text)) is not None)


def _together(size: int, found: Sequence[Throughput]) -> Throughput:
    rates = [t.examples_per_second for t in found if t.examples_per_second is not None]
    if len(rates) < len(found):
        return Throughput(size, None)
    known = [t.utilisation for t in found if t.utilisation is not None]
    return Throughput(size, float(np.median(rates)), float(np.median(known)) if known else None)


def _device(spec: TuningStudySpec) -> Any:
    """Return what the template says of the machine: the node's labels, and what the containers ask for."""
    pod = spec.trial.template.spec
    containers = pod.get("containers")
    asked = [c.get("resources") for c in containers if isinstance(c, dict)] if isinstance(containers, list) else []
    return [pod.get("nodeSelector"), asked]
