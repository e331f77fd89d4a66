"""Which batch sizes fit, and how fast each is: powers of two, each in a process of its own (BAT-7, BAT-8, BAT-11).

A process that ran out of memory has lost more than the one allocation; so the next size, or anything else that is run
after it, starts in a fresh one.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from tuning_contract.diagnostics import Throughput
from tuning_contract.environment import ParameterValue
from tuning_contract.exit_codes import ExitCode

LEAST_GAIN: Final = 0.05
"""A doubling that gains less throughput than this share is the last one that is tried."""
LARGEST: Final = 65_536


class ProbeError(Exception):
    """A probe's process ended in another way than with a figure or without memory; the message is its last words."""


def sweep(measure: Callable[[int], Throughput], smallest: int = 1, largest: int = LARGEST) -> list[Throughput]:
    """Return what `measure` says of growing sizes, up to the first that does not fit or is not worth its doubling."""
    found: list[Throughput] = []
    size = smallest
    while size <= largest:
        found.append(measure(size))
        if found[-1].examples_per_second is None or not worth_it(found[-2:]):
            break
        size *= 2
    return found


def worth_it(last_two: list[Throughput]) -> bool:
    """Say whether the later of two sizes gains throughput (BAT-11); of a single one that is not known yet."""
    rates = [found.examples_per_second or 0.0 for found in last_two]
    return len(rates) < 2 or rates[1] >= rates[0] * (1 + LEAST_GAIN)


def in_a_fresh_process(parameters: Mapping[str, ParameterValue], size: int) -> Throughput:
    """Measure one batch size in a process of its own.

    Raises:
        ProbeError: it failed, and not for lack of memory.
    """
    text = json.dumps({**parameters, "batch_size": size})
    command = [sys.executable, "-m", "tuning_trainer.probes", "throughput", "--parameters", text]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == ExitCode.OUT_OF_MEMORY or done.returncode == -9:  # the kernel kills what takes too much
        return Throughput(size, None)
    if done.returncode != ExitCode.COMPLETED:
        raise ProbeError(done.stderr.strip() or f"exit code {done.returncode}")
    return Throughput.from_json(json.loads(done.stdout)["throughput"])


def one_size(given: Mapping[str, ParameterValue]) -> dict[str, Any]:
    """Measure here, and say with what: a figure holds for one model, optimizer, precision and device (BAT-14).

    Raises:
        ConfigurationError: the parameters are impossible.
        OutOfMemoryError: the batch does not fit.
    """
    from tuning_trainer.probes.throughput import measure
    from tuning_trainer.run import Run, device_name
    from tuning_trainer.training import running_out_of_memory_is_an_ending
    from tuning_trainer.workloads.loading import parameters_from, workload_module

    parameters = parameters_from(given)
    with running_out_of_memory_is_an_ending():
        run = Run.fresh(parameters, 0, workload_module(parameters).make_workload(parameters))
        throughput = measure(run, threading.Event())
    model = ("workload", "hidden_width", "depth", "activation", "normalization", "optimizer", "gradient_accumulation")
    key = {name: getattr(parameters, name) for name in model}
    return {"key": {**key, "precision": "float32", "device": device_name()}, "throughput": throughput.to_json()}


def table(found: list[Throughput]) -> str:
    """Return the sweep for people: size, examples a second, milliseconds a step and the factor of the doubling."""
    rows, before = [f"{'batch size':>10} {'examples/s':>12} {'ms/step':>9} {'factor':>7}"], 0.0
    for one in found:
        rate = one.examples_per_second
        if rate is None:
            rows.append(f"{one.batch_size:>10} {'out of memory':>12}")
            continue
        factor = f"{rate / before:7.2f}" if before else " " * 7
        rows.append(f"{one.batch_size:>10} {rate:>12.0f} {1000 * one.batch_size / rate:>9.2f} {factor}".rstrip())
        before = rate
    return "\n".join(rows)
