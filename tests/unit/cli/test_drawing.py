"""How the figures are drawn, where a library's guess would be wrong."""

import json

from tests.support.studies import LEARNING_RATE, spec_of, study_of, trial_of
from tuning_cli.report.drawing.comparison import draw_isolation
from tuning_cli.report.figures.isolation import isolation_plots

WIDTH = {"name": "width", "type": "Ordinal", "role": "Scientific", "values": ["64", "128"], "valueType": "Integer"}


def test_numbers_of_a_list_are_names_on_the_axis() -> None:
    spec = spec_of([WIDTH, LEARNING_RATE])
    trials = [trial_of(spec, i, {"width": (64, 128)[i % 2], "learning_rate": 0.1}, 0.3 + i / 100) for i in range(8)]
    (plot,) = isolation_plots(study_of(spec, trials))
    figure = json.loads(draw_isolation(plot, "validation_loss", 0).figure)
    assert figure["data"][0]["x"] == ["64", "128"]
    assert figure["layout"]["xaxis"]["type"] == "category", "else 64 and 128 lie outside of the axis"
