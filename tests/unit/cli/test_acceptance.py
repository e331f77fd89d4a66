"""What the analysis promises, asked of the command: the Playbook's vectors as files, each with its silent control."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.builders import Manifest, a_choice, a_fixed, a_range
from tests.support.cli import kubectl_tuning, written
from tests.support.exported import (
    LEARNING_RATE,
    MODELS,
    WEIGHT_DECAY,
    a_file,
    a_trial_line,
    diverged,
    one_rate,
    overfitting,
    points,
    rate_at,
    settled,
    two_dimensions,
)
from tuning_contract.diagnostics import LogHistogram
from tuning_operator.api.findings import VERDICTS

Trials = Sequence[Manifest]
COMPARED = a_file([MODELS, LEARNING_RATE, WEIGHT_DECAY])
ADAPTED = {"goal": {"question": "Adopt b?", "kind": "TryChange"}, "baseline": {"scientific": {"model": "a"}}}
DECAYS = a_choice("weight_decay", type="Ordinal", values=["0", "0.0001", "0.01"], valueType="Float")
MOMENTUM = a_range("one_minus_momentum", category="optimizer", low=1e-3, high=1.0, scale="Log")
BATCHES = a_choice("batch_size", type="Ordinal", values=["64", "128"], valueType="Integer")
ACCURACY: Manifest = {"objective": {"metric": "accuracy", "direction": "Maximize"}}
FIGURE_7A = [1e-4, 2e-4, 4e-4, 7e-4, 1.1e-3, 1.6e-3, 2.3e-3, 3.2e-3, 4.1e-3, 7.8e-3, 1.5e-2, 2.2e-2, 4e-2, 8e-2]


def bowl(u: float) -> float:
    return 0.3 + 0.2 * (u - 0.5) ** 2


def falling(u: float) -> float:
    return 0.3 + 0.1 * (1 - u)


@dataclass(frozen=True)
class Case:
    """Files, and what the command must and must not say about them."""

    study: Manifest
    trials: Trials
    found: Sequence[str | tuple[str, Mapping[str, Any]]] = ()
    """`Code/Verdict`, with fields of the finding."""
    absent: Sequence[str] = ()
    conclusion: Mapping[str, Any] = field(default_factory=dict)
    earlier: tuple[Manifest, Trials] | None = None


BLOCKED: Mapping[str, Any] = {"state": "Blocked", "winner": None, "decision": "None"}


def won(**winner: Any) -> dict[str, Any]:
    return {"state": "Allowed", "winner": winner}


def models(a: float = 0.25, b: float = 0.30, centres: tuple[float, float] = (0.5, 0.5), **more: Any) -> list[Manifest]:
    return two_dimensions("model", {"a": a, "b": b}, centres=centres, **more)


def of_rate(rates: Sequence[float], best: float, fails_from: float) -> list[Manifest]:
    return [
        diverged(i, {"learning_rate": rate})
        if rate >= fails_from
        else a_trial_line(i, {"learning_rate": rate}, settled(0.3 + 0.05 * math.log10(rate / best) ** 2, i))
        for i, rate in enumerate(rates)
    ]


def probe(number: int, rate: float, train: Sequence[float], every: int, **fields: Any) -> Manifest:
    curve = points(train, train, every)
    return a_trial_line(900 + number, {"learning_rate": rate}, curve, purpose="InstabilityProbe", of="t-8", **fields)


def infeasible_where(fails: Callable[[float, float], bool], trials: int = 60) -> list[Manifest]:
    lines = []
    for i in range(trials):
        u, v = (i * 0.754877) % 1, (i * 0.569840) % 1
        parameters = {"learning_rate": rate_at(u), "one_minus_momentum": rate_at(v, 1e-3)}
        curve = settled(0.3 + 0.2 * ((u - 0.3) ** 2 + (v - 0.5) ** 2), i)
        lines.append(diverged(i, parameters) if fails(u, v) else a_trial_line(i, parameters, curve))
    return lines


def decays(overfits: float) -> list[Manifest]:
    return [
        a_trial_line(
            3 * i + arm,
            {"weight_decay": decay, "learning_rate": rate_at((i + 0.5) / 20)},
            (overfitting if decay == overfits else settled)(best + 0.2 * ((i + 0.5) / 20 - 0.5) ** 2, 3 * i + arm),
        )
        for arm, (decay, best) in enumerate({0.0: 0.30, 1e-4: 0.25, 1e-2: 0.28}.items())
        for i in range(20)
    ]


def retrained(a: Sequence[float], b: Sequence[float]) -> list[Manifest]:
    """Return a search that b wins, and retrains of both sides."""
    lines = models(1.0, 0.92)
    for model, results in (("a", a), ("b", b)):
        mine = [t for t in lines if t["parameters"]["model"] == model and "purpose" not in t]
        best = min(mine, key=lambda t: min(p["validation_loss"] for p in t["curve"]))
        for seed, value in enumerate(results):
            fields = {"purpose": "Retrain", "of": best["name"], "seed": seed, "name": f"{model}-again-{seed}"}
            lines.append(a_trial_line(0, best["parameters"], settled(value, 500 + seed), **fields))
    return lines


def with_field(name: str, values: Iterable[float], landscape: Callable[[float], float] = bowl) -> list[Manifest]:
    return [
        t | {"curve": [p | {name: float(v)} for p, v in zip(t["curve"], list(values), strict=True)]}
        for t in one_rate(landscape)
    ]


def with_diagnostics(**diagnostics: Any) -> list[Manifest]:
    return [t | {"diagnostics": diagnostics} for t in one_rate(bowl)]


def throughput(rates: Mapping[int, float | None]) -> list[Manifest]:
    out: Manifest = {"state": "Infeasible", "reason": "OutOfMemory"}
    return [
        a_trial_line(
            800 + i,
            {"batch_size": size, "learning_rate": 0.01},
            purpose="BatchSizeProbe",
            diagnostics={"throughput": {"batchSize": size, "examplesPerSecond": rate}},
            **(out if rate is None else {}),
        )
        for i, (size, rate) in enumerate(rates.items())
    ]


def ending(value: Sequence[float], train: Sequence[float]) -> list[Manifest]:
    return [
        t | {"curve": points([v + bowl((i + 0.5) / 20) - 0.3 for v in value], train, 40)}
        for i, t in enumerate(one_rate(bowl))
    ]


def best_at(*fractions: float) -> list[Manifest]:
    lines = []
    f = np.arange(1, 51) / 50
    for i, trial in enumerate(one_rate(bowl)):
        best = fractions[i % len(fractions)]
        value = 0.3 + 0.001 * i + np.where(f <= best, (best - f) / 2, (f - best) / 50)
        lines.append(trial | {"curve": points(value, 0.5 * np.exp(-3 * f), 40)})
    return lines


def of_values(values: Sequence[float]) -> list[Manifest]:
    order = np.random.default_rng(1).permutation(len(values))
    at = [{"learning_rate": rate_at((place + 0.5) / len(values))} for place in order]
    return [a_trial_line(i, at[i], settled(value, i, noise=0.002)) for i, value in enumerate(values)]


F = np.arange(1, 51) / 50
LONELY = [0.230, 0.262, 0.285, *np.linspace(0.30, 0.60, 27)]
DENSE = [*np.linspace(0.230, 0.2322, 12), *np.linspace(0.30, 0.60, 28)]
NORMS = LogHistogram.of([float(n) for n in range(1, 101)]).to_json()
EARLY = [*(5 * np.exp(-np.arange(1, 40) / 15) + 1), math.nan]
RUN = np.arange(1, 201) / 200
MID = [*np.where(RUN < 0.1, 2.3 + 7.7 * np.exp(-RUN / 0.02), 4.1)]
SMOOTH = [*(2.3 + 7.7 * np.exp(-RUN / 0.1))]
SUSPECT = of_rate(FIGURE_7A, 4.1e-3, 1.5e-2)
STABLE = [*np.geomspace(1e-5, 2e-3, 13), *np.geomspace(2.2e-3, 1.9e-2, 16), 2e-2, 3e-2, 6e-2, 9e-2]

SPACE = {
    "an optimum beyond the range": Case(
        a_file(),
        one_rate(falling),
        [("SearchSpaceEdge/Expand", {"parameter": "learning_rate", "side": "high", "scientific": {}, "newLimit": 10})],
        conclusion=BLOCKED,
    ),
    "an optimum inside": Case(
        a_file(), one_rate(bowl), ["SearchSpaceEdge/Ok"], ["SearchSpaceEdge/Expand"], {"state": "Allowed"}
    ),
    "a larger objective": Case(
        a_file(**ACCURACY),
        one_rate(lambda u: 0.8 + 0.1 * u, metric="accuracy"),
        [("SearchSpaceEdge/Expand", {"side": "high"})],
        conclusion=BLOCKED,
    ),
    "a natural limit": Case(
        a_file([LEARNING_RATE | {"hardHigh": 1.0}]),
        one_rate(falling),
        ["SearchSpaceEdge/NaturalLimit"],
        ["SearchSpaceEdge/Expand"],
    ),
    "no difference": Case(
        a_file(), one_rate(lambda u: 0.3 + 0.0005 * (1 - u)), ["SearchSpaceEdge/Flat"], ["SearchSpaceEdge/Expand"]
    ),
    "one lucky point": Case(
        a_file(), one_rate(lambda u: 0.28 if u > 0.96 else bowl(u)), ["SearchSpaceEdge/Suspicious"]
    ),
    "an adaptive search": Case(
        a_file(search={"algorithm": "Bayesian"}),
        one_rate(falling),
        ["SearchSpaceEdge/Suspicious"],
        ["SearchSpaceEdge/Expand"],
    ),
    "an expected edge": Case(
        a_file(acknowledge=[{"code": "SearchSpaceEdge", "reason": "the device"}]),
        one_rate(falling),
        conclusion={"state": "Allowed"},
    ),
    "a cut at one rate": Case(
        a_file([a_range(low=0.5, high=10.5)]),
        of_rate([float(n) for n in range(1, 11)], 2.0, 5.0),
        [("Infeasible/AdjustRange", {"parameter": "learning_rate", "side": "high", "cut": 4.5})],
        conclusion=BLOCKED,
    ),
    "a cut at a ratio": Case(
        a_file([LEARNING_RATE, MOMENTUM], budget={"maxTrials": 60}),
        infeasible_where(lambda u, v: rate_at(u) / rate_at(v, 1e-3) > 0.03),
        [("Infeasible/Reparameterise", {"expression": "learning_rate/one_minus_momentum"})],
        ["Infeasible/AdjustRange"],
        BLOCKED,
    ),
    "failures everywhere": Case(
        a_file([LEARNING_RATE, MOMENTUM], budget={"maxTrials": 60}),
        infeasible_where(lambda u, v: (u * 7919 + v * 104729) % 1 < 0.6),
        ["Infeasible/PossibleBug"],
        conclusion=BLOCKED,
    ),
    "preempted trials": Case(
        a_file(),
        [
            a_trial_line(i, t["parameters"], state="Lost", reason="Preempted") if i % 2 else t
            for i, t in enumerate(one_rate(bowl, 40))
        ],
        ["Infeasible/InfrastructureLoss", "Infeasible/Ok"],
        ["Infeasible/PossibleBug"],
        {"state": "Allowed"},
    ),
    "a lonely best": Case(a_file(budget={"maxTrials": 30}), of_values(LONELY), ["Sampling/Sparse"]),
    "many good trials": Case(a_file(), of_values(DENSE), ["Sampling/Ok"], ["Sampling/Sparse"]),
    "another seed, another result": Case(
        a_file(search={"seed": 2}),
        one_rate(lambda u: bowl(u) + 0.05),
        ["Sampling/Unstable"],
        earlier=(a_file(search={"seed": 1}), one_rate(bowl)),
    ),
}
COMPARISON = {
    "a better arm": Case(
        COMPARED,
        models(),
        ["FairComparison/Ok", "Overfitting/Ok", "StepVariance/Ok"],
        ["FairComparison/NotTuned", "FairComparison/Budget", "FairComparison/Range", "Sampling/Sparse"],
        won(model="a"),
    ),
    "arms alike": Case(COMPARED, models(0.25, 0.25), conclusion={"state": "Allowed", "winner": None, "reason": "Tie"}),
    "a Boolean": Case(
        a_file([a_choice("norm", values=["true", "false"], valueType="Boolean"), LEARNING_RATE, WEIGHT_DECAY]),
        two_dimensions("norm", {True: 0.25, False: 0.30}),
        [("SearchSpaceEdge/Ok", {"scientific": {"norm": True}})],
        conclusion=won(norm=True),
    ),
    "an integer": Case(
        a_file([a_choice("layers", values=["2", "4"], valueType="Integer"), LEARNING_RATE, WEIGHT_DECAY]),
        two_dimensions("layers", {2: 0.30, 4: 0.25}),
        conclusion=won(layers=4),
    ),
    "one rate beside many": Case(
        COMPARED,
        [
            t | {"parameters": t["parameters"] | ({"learning_rate": 0.01} if t["parameters"]["model"] == "b" else {})}
            for t in models()
        ],
        [("FairComparison/NotTuned", {"parameter": "learning_rate", "scientific": {"model": "b"}})],
        conclusion=BLOCKED,
    ),
    "few trials beside many": Case(
        COMPARED,
        [t for i, t in enumerate(sorted(models(trials=40), key=lambda t: t["parameters"]["model"])) if i < 60],
        [("FairComparison/Budget", {"scientific": {"model": "b"}})],
        conclusion=BLOCKED,
    ),
    "no arm without the change": Case(
        a_file([MODELS, LEARNING_RATE, WEIGHT_DECAY], goal=ADAPTED["goal"]),
        models(),
        ["FairComparison/NoBaseline"],
        conclusion=BLOCKED,
    ),
    "too few trials": Case(
        COMPARED, models(trials=4), ["Sampling/Unknown"], conclusion={"state": "Pending", "winner": None}
    ),
    "half a range": Case(
        COMPARED,
        [
            t
            | {"parameters": t["parameters"] | {"weight_decay": 1e-6 * (t["parameters"]["weight_decay"] / 1e-6) ** 0.5}}
            if t["parameters"]["model"] == "b"
            else t
            for t in models()
        ],
        [("FairComparison/Range", {"parameter": "weight_decay"})],
        conclusion=BLOCKED,
    ),
    **{
        f"{verdict}: {b}": Case(
            a_file([MODELS, LEARNING_RATE, WEIGHT_DECAY], **ADAPTED, **more),
            retrained([1.0, 1.02, 0.98] if b else [], b),
            [f"Adoption/{verdict}"],
            conclusion=won(model="b") | {"decision": verdict},
        )
        for verdict, b, more in (
            ("Adopt", [0.9, 0.91, 0.89], {}),
            ("KeepBaseline", [0.99, 1.01, 1.0], {}),
            ("KeepBaseline", [1.2, 1.21, 1.19], {}),
            ("KeepBaseline", [0.9, 0.92, 0.88], {"retrains": {"count": 3, "complexityCost": 0.2}}),
            ("NeedRetrains", [], {}),
        )
    },
    "what can be fixed": Case(
        a_file([MODELS, LEARNING_RATE], budget={"maxTrials": 80}),
        [t | {"parameters": {k: v for k, v in t["parameters"].items() if k != "weight_decay"}} for t in models()],
        [("Role/KeepNuisance", {"parameter": "learning_rate"})],
    ),
    "an optimum that moves": Case(
        COMPARED,
        models(0.3, 0.33, trials=40, curvature=0.6, centres=(0.4, 0.7)),
        [("Role/Interacts", {"parameter": "learning_rate"})],
    ),
}
CURVES = {
    "an overfitting best trial": Case(
        a_file(), one_rate(bowl, curve=overfitting), ["Overfitting/BestTrial"], conclusion=BLOCKED
    ),
    "overfitting elsewhere": Case(
        a_file(),
        [t if i < 16 else one_rate(bowl, curve=overfitting)[i] for i, t in enumerate(one_rate(bowl))],
        ["Overfitting/Elsewhere"],
        ["Overfitting/BestTrial"],
        {"state": "Allowed"},
    ),
    "overfitting without the regulariser": Case(
        a_file([DECAYS, LEARNING_RATE]),
        decays(0.0),
        [("Overfitting/Exempt", {"scientific": {"weight_decay": 0.0}, "severity": "Info"})],
        ["Overfitting/BestTrial"],
        won(weight_decay=1e-4),
    ),
    "overfitting with it": Case(
        a_file([DECAYS, LEARNING_RATE]), decays(0.01), ["Overfitting/BestTrial"], conclusion=BLOCKED
    ),
    "best steps early": Case(a_file(), best_at(0.04, 0.06, 0.08, 0.1, 0.02), ["StepBudget/TooLong"]),
    "best steps late": Case(a_file(), best_at(0.8, 0.9, 0.76, 0.98, 0.5), ["StepBudget/TooShort"]),
    "best steps anywhere": Case(a_file(), best_at(0.3, 0.5, 0.9, 0.7, 0.6), ["StepBudget/Ok"]),
    "improving at the end": Case(
        a_file(), ending(*[[*(0.2 + 0.7 * np.exp(-F / 0.6))]] * 2), ["EndOfTraining/StillImproving"]
    ),
    "flat for long": Case(a_file(), ending(*[[*(0.2 + 0.7 * np.exp(-F / 0.04))]] * 2), ["EndOfTraining/Saturated"]),
    "flat, and training on": Case(
        a_file(),
        ending([*np.where(F < 0.3, 0.5 - F, 0.2)], [*(1 - 0.8 * F)]),
        ["EndOfTraining/Neither"],
        ["EndOfTraining/Saturated"],
    ),
    "a rising training loss": Case(
        a_file(),
        with_field("train_loss", 1 + np.arange(40) / 80),
        ["PipelineBug/TrainLossRises"],
        conclusion={**BLOCKED, "nextStudy": None},
    ),
    "a sound pipeline": Case(
        a_file(),
        with_diagnostics(weightSum=1000.0, datasetSize=1000),
        ["PipelineBug/Ok"],
        ["PipelineBug/PaddedWeights"],
    ),
    "padding that counts": Case(
        a_file(),
        with_diagnostics(weightSum=1024.0, datasetSize=1000),
        ["PipelineBug/PaddedWeights"],
        conclusion=BLOCKED,
    ),
    "a skewed sample": Case(
        a_file(),
        with_diagnostics(
            fullEvaluation={"error": 0.1, "examples": 10000}, sampleEvaluation={"error": 0.2, "examples": 500}
        ),
        ["PipelineBug/SubsetSkew"],
    ),
    "processes that differ": Case(
        a_file(),
        with_diagnostics(
            ranks=[
                {"rank": n, "initialWeights": w, "firstBatch": str(n), "buffers": "u", "writesCheckpoints": n == 0}
                for n, w in enumerate("xy")
            ]
        ),
        ["PipelineBug/RankDivergence"],
        conclusion=BLOCKED,
    ),
}
STABILITY_RANGE = a_range(category="optimizer", low=1e-5, high=0.1, scale="Log")
STABILITY = {
    "figure 7a": Case(a_file([STABILITY_RANGE]), SUSPECT, [("Instability/Suspected", {"parameter": "learning_rate"})]),
    "room below the cliff": Case(
        a_file([STABILITY_RANGE]),
        of_rate([float(rate) for rate in STABLE], 2e-3, 1.999e-2),
        ["Instability/Ok"],
        ["Instability/Suspected"],
        {"state": "Allowed"},
    ),
    "a rise in the middle": Case(
        a_file([STABILITY_RANGE], training={"maxSteps": 100000, "evaluateEverySteps": 500}),
        [*SUSPECT, *(probe(i, rate, MID, 500, maxSteps=100000) for i, rate in enumerate((2.05e-2, 4.1e-2)))],
        ["Instability/ConfirmedMid", "Warmup/Plan"],
        conclusion=BLOCKED,
    ),
    "a rise early": Case(
        a_file([STABILITY_RANGE], training={"maxSteps": 10000}),
        [
            *SUSPECT,
            *(
                probe(i, rate, EARLY, 1, maxSteps=10000, state="Infeasible", reason="NonFiniteObjective")
                for i, rate in enumerate((2.05e-2, 4.1e-2))
            ),
        ],
        ["Instability/ConfirmedEarly"],
        conclusion=BLOCKED,
    ),
    "smooth probes": Case(
        a_file([STABILITY_RANGE], training={"maxSteps": 10000}),
        [*SUSPECT, *(probe(i, rate, SMOOTH, 50, maxSteps=10000) for i, rate in enumerate((2.05e-2, 4.1e-2)))],
        ["Instability/NotConfirmed"],
        ["Instability/ConfirmedEarly", "Instability/ConfirmedMid"],
    ),
    "norms without outliers": Case(a_file(), with_diagnostics(gradNormHistogram=NORMS), ["Clipping/NotNeeded"]),
    "half of the norms clipped": Case(
        a_file([LEARNING_RATE, a_fixed("clip_norm", type="Float", value="40")]),
        [t | {"parameters": t["parameters"] | {"clip_norm": 40.0}} for t in with_diagnostics(gradNormHistogram=NORMS)],
        ["Clipping/TooAggressive"],
    ),
    "throughput": Case(
        a_file([LEARNING_RATE, a_fixed("batch_size", value="64")]),
        throughput({64: 1000, 128: 1950, 256: 3600, 512: 3650, 1024: None}),
        ["BatchSize/Chosen"],
        ["BatchSize/Bottleneck", "BatchSize/LimitNotReached"],
    ),
    "a bottleneck": Case(
        a_file([LEARNING_RATE, a_fixed("batch_size", value="64")]),
        throughput({64: 1000, 128: 1100}),
        ["BatchSize/Bottleneck"],
    ),
    "no limit": Case(
        a_file([LEARNING_RATE, a_fixed("batch_size", value="64")]),
        throughput({64: 1000, 128: 1990, 256: 3900}),
        ["BatchSize/LimitNotReached"],
    ),
}
LINTS: Mapping[str, tuple[str, bool, Manifest]] = {
    "no goal": ("MissingGoal", True, a_file(goal=None)),
    "steps searched": (
        "MaxStepsSearched",
        True,
        a_file([LEARNING_RATE, a_range("max_steps", type="Integer", low=500, high=4000)]),
    ),
    "batch size compared": ("BatchSizeSearched", True, a_file([LEARNING_RATE, BATCHES])),
    "one rate for two optimizers": ("SharedHyperparameter", True, a_file([a_choice(), LEARNING_RATE])),
    "a long warm-up": (
        "WarmupTooLong",
        True,
        a_file([LEARNING_RATE, a_range("warmup_steps", type="Integer", low=0, high=500)]),
    ),
    "a clock": ("TimeBasedEvaluation", True, a_file(training={"evaluateEverySeconds": 60})),
    "joint and adaptive": (
        "JointAdaptive",
        True,
        a_file([MODELS, LEARNING_RATE], search={"algorithm": "Bayesian", "design": "Joint"}),
    ),
    "a fixed rate": ("OptimizerFixed", False, a_file([MODELS, a_fixed("learning_rate", type="Float", value="0.1")])),
    "two questions": ("SeveralScientific", False, a_file([MODELS, MODELS | {"name": "norm"}, LEARNING_RATE])),
    "a linear rate": ("LinearScale", False, a_file([a_range(low=1e-4, high=0.1)])),
    "rare evaluations": ("FewEvaluations", False, a_file(training={"evaluateEverySteps": 200})),
    "trials cut short": ("EarlyStopping", False, a_file(stopping={"rule": "Median"})),
    "many rounds": ("TooManyRounds", False, a_file(training={"rounds": 4})),
}


def analysed(folder: Path, case: Case) -> Any:
    arguments: list[str] = []
    for name, files in (("earlier", case.earlier), ("last", (case.study, case.trials))):
        if files is not None:
            (folder / name).mkdir()
            arguments += written(folder / name, *files)
    answer = kubectl_tuning("analyze", *arguments, "-o", "json")
    assert answer.code == 0, answer.errors
    return answer.json


@pytest.mark.parametrize(
    "group", [SPACE, COMPARISON, CURVES, STABILITY], ids=["space", "comparison", "curves", "stable"]
)
def test_each_vector_gives_its_verdict_and_each_control_is_silent(tmp_path: Path, group: Mapping[str, Case]) -> None:
    wrong = []
    for number, (name, case) in enumerate(group.items()):
        (tmp_path / str(number)).mkdir()
        answer = analysed(tmp_path / str(number), case)
        told = [(f"{f['code']}/{f['verdict']}", f) for f in answer["findings"]]
        for wanted in case.found:
            title, fields = (wanted, {}) if isinstance(wanted, str) else wanted
            if not any(t == title and fields == {k: f[k] for k in fields} for t, f in told):
                wrong.append(f"{name}: no {title} {fields}")
        wrong += [f"{name}: {title}" for title, _ in told if title in case.absent]
        reached = answer["conclusion"] | {"nextStudy": answer["nextStudy"]}
        wrong += [f"{name}: {k} is {reached[k]}, not {v}" for k, v in case.conclusion.items() if reached[k] != v]
        assert all(f["verdict"] in {*VERDICTS[f["code"]], "Ok", "Unknown"} for _, f in told)
    assert not wrong


@pytest.mark.parametrize(("verdict", "blocks", "study"), LINTS.values(), ids=LINTS.keys())
def test_a_specification_is_judged_before_a_trial_has_run(
    tmp_path: Path, verdict: str, blocks: bool, study: Manifest
) -> None:
    answer = analysed(tmp_path, Case(study, ()))
    found = [f["severity"] for f in answer["findings"] if (f["code"], f["verdict"]) == ("Specification", verdict)]
    assert found[:1] == ["Block" if blocks else "Warn"]
    assert answer["conclusion"]["state"] == ("Blocked" if blocks else "Pending")
    assert answer["conclusion"]["winner"] is None


@pytest.mark.parametrize("seed", range(4))
def test_healthy_studies_are_concluded(tmp_path: Path, seed: int) -> None:
    centre, ahead = 0.35 + 0.08 * seed, 0.02 * seed
    answer = analysed(tmp_path, Case(COMPARED, models(0.25, 0.25 + ahead, trials=30, centres=(centre, 1 - centre))))
    assert [f for f in answer["findings"] if f["severity"] == "Block"] == []
    assert answer["conclusion"]["state"] == "Allowed"
    assert answer["conclusion"]["winner"] == (None if seed == 0 else {"model": "a"})
