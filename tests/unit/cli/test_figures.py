"""The figures as values: what they show, without looking at a picture."""

import math
from dataclasses import replace

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_cli.report.figures.axis import Cut, Edge, Mark, axis_plots, text_of
from tuning_cli.report.figures.curves import all_curves, best_curves, curves_named, norm_curves
from tuning_cli.report.figures.gradients import gradient_histogram
from tuning_cli.report.figures.importance import importance_of
from tuning_cli.report.figures.isolation import isolation_plots
from tuning_cli.report.figures.parallel import parallel_coordinates
from tuning_cli.report.figures.progress import best_so_far, search_luck, step_histogram
from tuning_contract.diagnostics import Diagnostics, LogHistogram
from tuning_operator.api.findings import Code, Finding, Severity, Side
from tuning_operator.api.hyperparameters import Scale
from tuning_operator.playbook.records import Curve, Purpose, State, StudyRecord

OPTIMIZER = {"name": "optimizer", "type": "Categorical", "role": "Scientific", "values": ["a", "b", "c"]}
MOMENTUM = {"name": "momentum", "type": "Float", "role": "Nuisance", "low": 0.5, "high": 0.99, "scale": "ReverseLog"}
ONLY_B = {**MOMENTUM, "when": {"name": "optimizer", "values": ["b"]}}
SPEC = spec_of([OPTIMIZER, LEARNING_RATE, ONLY_B])


def compared() -> StudyRecord:
    """Return a study of three arms, of which the last has nothing but infeasible trials."""
    return study_of(
        SPEC,
        [
            trial_of(SPEC, 0, {"optimizer": "a", "learning_rate": 0.1}, 0.3),
            trial_of(SPEC, 1, {"optimizer": "a", "learning_rate": 0.2}, 0.2),
            trial_of(SPEC, 2, {"optimizer": "b", "learning_rate": 0.1, "momentum": 0.9}, 0.25),
            trial_of(SPEC, 3, {"optimizer": "c", "learning_rate": 0.5}, state=State.INFEASIBLE),
            trial_of(SPEC, 4, {"optimizer": "b", "learning_rate": 0.4, "momentum": 0.8}, 0.9, state=State.STOPPED),
            trial_of(SPEC, 5, {"optimizer": "a", "learning_rate": 0.2}, 0.1, purpose=Purpose.RETRAIN),
        ],
    )


def finding(code: Code, verdict: str, **fields: object) -> Finding:
    return Finding.model_validate(
        {"code": code, "verdict": verdict, "severity": Severity.WARN, "rule": "BND-4", **fields}
    )


def test_isolation_shows_the_best_of_each_scientific_value() -> None:
    (plot,) = isolation_plots(compared())
    assert [(p.label, p.value, p.trial) for p in plot.points] == [
        ("a", 0.2, "t-1"),
        ("b", 0.25, "t-2"),
        ("c", None, None),
    ]
    assert [(p.trials, p.infeasible, p.is_solid) for p in plot.points] == [(2, 0, False), (1, 0, False), (0, 1, False)]
    assert plot.points[1].nuisance == {"learning_rate": 0.1, "momentum": 0.9}


def test_isolation_of_a_range_shows_the_best_of_each_part() -> None:
    spec = spec_of([{**LEARNING_RATE, "role": "Scientific"}])
    trials = [trial_of(spec, i, {"learning_rate": 10 ** (-4 + (i + 0.5) / 4)}, 1.0 + (i * 7) % 16) for i in range(16)]
    (plot,) = isolation_plots(study_of(spec, trials))
    results = [1.0 + (i * 7) % 16 for i in range(16)]
    assert [p.value for p in plot.points] == [min(results[k : k + 4]) for k in (0, 4, 8, 12)]
    assert plot.scale is Scale.LOG
    assert plot.points[0].label == "0.0001 to 0.001"


def test_without_a_question_nothing_is_isolated() -> None:
    assert isolation_plots(study_of(spec_of())) == ()


def test_an_axis_shows_results_and_puts_infeasible_trials_on_the_rim() -> None:
    rate, momentum = axis_plots(compared())
    marks = {p.trial: (s.arm, p.x, p.y, p.mark) for s in rate.series for p in s.points}
    assert marks["t-1"] == ("optimizer=a", 0.2, 0.2, Mark.RESULT)
    assert marks["t-3"] == ("optimizer=c", 0.5, None, Mark.INFEASIBLE)
    assert marks["t-4"] == ("optimizer=b", 0.4, 0.9, Mark.STOPPED)
    assert "t-5" not in marks
    assert (rate.scale, rate.low, rate.high) == (Scale.LOG, 1e-4, 1.0)
    assert [s.arm for s in momentum.series] == ["optimizer=b"]


def test_an_axis_marks_the_edges_that_findings_are_about() -> None:
    where = {"parameter": "learning_rate", "side": Side.HIGH, "scientific": {"optimizer": "a"}}
    findings = [
        finding(Code.SEARCH_SPACE_EDGE, "Expand", **where, new_limit=10.0),
        finding(Code.SEARCH_SPACE_EDGE, "Ok", parameter="learning_rate"),
        finding(Code.INFEASIBLE, "AdjustRange", **where, cut=0.3),
        finding(Code.SEARCH_SPACE_EDGE, "Expand", parameter="momentum", side=Side.LOW, scientific={"optimizer": "a"}),
    ]
    rate, momentum = axis_plots(compared(), findings)
    assert rate.edges == (Edge(Side.HIGH, "Expand", "optimizer=a", 10.0),)
    assert rate.cuts == (Cut(Side.HIGH, 0.3),)
    assert momentum.edges == ()


def test_the_best_of_each_arm_are_marked() -> None:
    spec = spec_of()
    study = study_of(spec, [trial_of(spec, i, {"learning_rate": 0.01 * (i + 1)}, float(i)) for i in range(10)])
    (plot,) = axis_plots(study)
    assert [p.trial for p in plot.series[0].points if p.is_top] == ["t-0", "t-1", "t-2"]


def test_a_list_keeps_its_order() -> None:
    spec = spec_of(
        [{"name": "width", "type": "Ordinal", "role": "Nuisance", "values": ["64", "8"], "valueType": "Integer"}]
    )
    (plot,) = axis_plots(study_of(spec, [trial_of(spec, 0, {"width": 8}, 1.0)]))
    assert (plot.scale, plot.values) == (None, (64, 8))


def test_a_maximised_objective_is_shown_as_it_was_measured() -> None:
    spec = spec_of(objective={"metric": "accuracy", "direction": "Maximize"})
    study = study_of(spec, [trial_of(spec, i, {"learning_rate": 0.1}, 0.5 + i / 10) for i in range(4)])
    assert [p.y for p in axis_plots(study)[0].series[0].points] == [0.8, 0.7, 0.6, 0.5]
    assert best_so_far(study)[0].best == (0.5, 0.6, 0.7, 0.8)
    assert search_luck(study)[0].median[-1] >= 0.7


def test_the_best_so_far_follows_the_trials_order() -> None:
    spec = spec_of()
    states = [State.SUCCEEDED, State.INFEASIBLE, State.SUCCEEDED, State.SUCCEEDED]
    values = [0.5, None, 0.7, 0.2]
    trials = [
        trial_of(spec, i, {"learning_rate": 0.1}, v, state=s)
        for i, (v, s) in enumerate(zip(values, states, strict=True))
    ]
    (course,) = best_so_far(study_of(spec, trials[::-1]))
    assert course.trials == ("t-0", "t-1", "t-2", "t-3")
    assert course.values == (0.5, None, 0.7, 0.2)
    assert course.best == (0.5, 0.5, 0.5, 0.2)


def test_curves_are_those_of_the_three_best_of_each_arm() -> None:
    spec = spec_of()
    trials = [
        trial_of(spec, i, {"learning_rate": 0.1}, curve=[3.0, 1.0 + i, 2.0 + i], train=[2.0, math.nan, 1.0])
        for i in range(5)
    ]
    shown = best_curves(study_of(spec, trials))
    assert [(c.trial, c.rank) for c in shown] == [("t-0", 1), ("t-1", 2), ("t-2", 3)]
    assert shown[0].objective == (3.0, 1.0, 2.0)
    assert shown[0].train_loss == (2.0, None, 1.0)
    assert shown[0].best_step == 20


def test_all_curves_are_there_the_best_first_and_those_that_broke_last() -> None:
    spec = spec_of()
    curves = [[3.0, 2.0], [3.0, 1.0], [3.0, math.nan]]
    states = [State.SUCCEEDED, State.SUCCEEDED, State.INFEASIBLE]
    trials = [
        trial_of(spec, i, {"learning_rate": 0.1}, curve=c, state=s)
        for i, (c, s) in enumerate(zip(curves, states, strict=True))
    ]
    assert [c.trial for c in all_curves(study_of(spec, trials))] == ["t-1", "t-0", "t-2"]


def test_gradient_norms_over_the_steps_are_those_of_the_best_trial() -> None:
    spec = spec_of()
    best = trial_of(spec, 0, {"learning_rate": 0.1}, curve=[2.0, 1.0])
    values = {**best.curve.values, "grad_norm": (5.0, math.inf)}
    best = replace(best, curve=Curve(best.curve.steps, values))
    (norms,) = norm_curves(study_of(spec, [best, trial_of(spec, 1, {"learning_rate": 0.1}, curve=[3.0, 3.0])]))
    assert (norms.trial, norms.steps, norms.norms) == ("t-0", (10, 20), (5.0, None))
    assert norm_curves(study_of(spec, [trial_of(spec, 1, {"learning_rate": 0.1}, curve=[3.0, 3.0])])) == ()


def test_curves_can_be_asked_for_by_name() -> None:
    spec = spec_of()
    study = study_of(
        spec,
        [trial_of(spec, 0, {"learning_rate": 0.1}, curve=[3.0, 1.0]), trial_of(spec, 1, {"learning_rate": 0.1}, 1.0)],
    )
    assert [c.trial for c in curves_named(study, ["t-0", "t-1", "nobody"])] == ["t-0"]


def test_long_curves_are_thinned_with_both_ends_kept() -> None:
    spec = spec_of()
    study = study_of(spec, [trial_of(spec, 0, {"learning_rate": 0.1}, curve=[float(i) for i in range(5000)])])
    (curve,) = best_curves(study)
    assert len(curve.steps) == 500
    assert (curve.steps[0], curve.steps[-1]) == (10, 50_000)


def test_best_steps_are_counted_in_tenths_of_the_run() -> None:
    spec = spec_of()
    curves = [[3.0, 1.0, *[2.0] * 8], [3.0] * 9 + [1.0]]
    trials = [trial_of(spec, i, {"learning_rate": 0.1}, curve=c, max_steps=100) for i, c in enumerate(curves)]
    histogram = step_histogram(study_of(spec, trials))
    assert histogram is not None
    assert sorted(histogram.fractions) == [0.2, 1.0]
    assert histogram.counts == (0, 0, 1, 0, 0, 0, 0, 0, 0, 1)
    assert step_histogram(study_of(spec)) is None


def test_parallel_coordinates_share_an_axis_for_what_the_container_gets_as_one() -> None:
    rates = [
        {
            **LEARNING_RATE,
            "name": f"{o}_rate",
            "parameter": "learning_rate",
            "when": {"name": "optimizer", "values": [o]},
        }
        for o in ("a", "b")
    ]
    spec = spec_of([{**OPTIMIZER, "values": ["a", "b"]}, *rates])
    trials = [
        trial_of(spec, 0, {"optimizer": "a", "learning_rate": 0.01}, 0.5),
        trial_of(spec, 1, {"optimizer": "b", "learning_rate": 1.0}, 0.4),
        trial_of(spec, 2, {"optimizer": "b", "learning_rate": 1.0}, state=State.INFEASIBLE),
    ]
    picture = parallel_coordinates(study_of(spec, trials))
    assert picture is not None
    assert [a.name for a in picture.axes] == ["optimizer", "learning_rate"]
    lines = {line.trial: line for line in picture.lines}
    assert lines["t-0"].positions == (0.25, 0.5)
    assert [lines[t].quality for t in ("t-1", "t-0", "t-2")] == [1.0, 0.0, None]
    assert parallel_coordinates(study_of(spec_of(), trials)) is None


def test_gradient_norms_of_the_best_trials_are_counted_together() -> None:
    spec = spec_of([LEARNING_RATE, {"name": "clip_norm", "type": "Float", "role": "Fixed", "value": "5.0"}])
    norms = Diagnostics(grad_norm_histogram=LogHistogram.of([1.0] * 90 + [100.0] * 10))
    study = study_of(spec, [trial_of(spec, 0, {"learning_rate": 0.1}, 1.0, diagnostics=norms)])
    histogram = gradient_histogram(study)
    assert histogram is not None
    assert (histogram.counts[0], histogram.counts[-1], sum(histogram.counts)) == (90, 10, 100)
    assert histogram.edges[0] == 1.0
    assert (round(histogram.percentile, 2), histogram.clipped_at) == (1.26, 5.0)
    assert gradient_histogram(study_of(spec)) is None


def test_importance_is_that_of_the_rules_about_roles() -> None:
    spec = spec_of([LEARNING_RATE, {"name": "dropout", "type": "Float", "role": "Nuisance", "low": 0.0, "high": 1.0}])
    trials = [
        trial_of(
            spec,
            i,
            {"learning_rate": 10 ** (-4 * ((i * 0.618) % 1)), "dropout": (i * 0.414) % 1},
            ((i * 0.618) % 1) ** 2,
        )
        for i in range(30)
    ]
    shares = importance_of(study_of(spec, trials))
    assert [each.parameter for each in shares] == ["learning_rate", "dropout"]
    assert shares[0].share > 0.5 > shares[1].share
    assert importance_of(study_of(spec, trials[:3])) == ()


def test_values_are_told_as_people_write_them() -> None:
    assert [text_of(v) for v in (True, 64, 0.1234567, 1e-7, "adam")] == ["true", "64", "0.12346", "1e-07", "adam"]
