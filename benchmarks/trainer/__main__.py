"""Run the benchmark: `PYTHONPATH=operator:trainer_image:. python -m benchmarks.trainer`."""

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """Measure loops and populations, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--workloads", nargs="+", default=["digits", "tabular", "regression", "characters"])
    parser.add_argument("--steps", type=int, default=200, help="of each run")
    parser.add_argument("--repetitions", type=int, default=7, help="of each loop")
    parser.add_argument("--k", type=int, nargs="*", default=[1, 8, 32, 128], help="sizes of the populations")
    parser.add_argument("--shared-batches", action="store_true", help="also: populations whose members share batches")
    parser.add_argument("--one-by-one", type=int, default=8, help="trials that run one after the other")
    parser.add_argument(
        "--processes", type=int, nargs="*", default=[], help="also: so many processes side by side, each one by one"
    )
    parser.add_argument("--json", type=Path, default=Path("build/benchmarks/trainer.json"))
    options = parser.parse_args()
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the trainer takes the GPU that it sees
    # Both are read when PyTorch is imported, which is below and not above.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    from benchmarks.trainer import report
    from benchmarks.trainer.clock import clock
    from benchmarks.trainer.loops import loop_times
    from benchmarks.trainer.populations import rates
    from benchmarks.trainer.processes import side_by_side
    from tuning_trainer.run import device_name

    if options.device == "cuda" and not torch.cuda.is_available():
        print("benchmarks.trainer: there is no GPU here that PyTorch can use", file=sys.stderr)
        return 1
    device = f"{device_name()}, {processor()}, PyTorch {torch.__version__}, {torch.get_num_threads()} thread"
    print(f"device: {device}", file=sys.stderr)
    times, measured = [], []
    for workload in options.workloads:
        times.append(loop_times(workload, options.steps, options.repetitions))
        _say(list(report.loop_lines(times))[-1])
        sizes, shared = options.k, options.shared_batches
        for rate in rates(workload, options.steps, sizes, options.one_by_one, shared=shared) if sizes else ():
            measured.append(rate)
            _say(list(report.rate_lines(measured))[-1])
        for rate in side_by_side(workload, options.steps, options.processes, options.one_by_one):
            measured.append(rate)
            _say(list(report.rate_lines(measured))[-1])
        _write(options.json, report.as_json(device, clock().name, times, measured))
    print(*report.loop_lines(times), "", *report.rate_lines(measured), sep="\n")
    return 0


def _write(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")


def processor() -> str:
    """Return the CPU's name, as Linux has it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _say(*lines: str) -> None:
    print(*lines, sep="\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
