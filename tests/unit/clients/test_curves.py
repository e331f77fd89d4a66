"""What is remembered of running trials' curves, and what is asked for again."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.views import a_study, a_trial
from tuning_operator.clients.curves import CurveReader
from tuning_operator.clients.errors import PrometheusError
from tuning_operator.clients.prometheus import Curves, Target
from tuning_operator.study.snapshot import Sample, StudyView

INTERVAL = timedelta(seconds=15)


class StandIn:
    """A Prometheus whose samples a test says; it notes for which trials it was asked for all."""

    def __init__(self) -> None:
        self.curves: Curves = {}
        self.asked: list[list[str]] = []
        self.metrics: list[tuple[str, ...]] = []
        self.down = False
        self.too_large: set[str] = set()

    async def recent(self, targets: Iterable[Target], window: timedelta) -> dict[str, Curves]:
        if self.down:
            raise PrometheusError("down")
        begin = datetime.now(UTC) - window
        return {
            target.study_uid: {
                trial: tuple(sample for sample in curve if sample.time >= begin) for trial, curve in self.curves.items()
            }
            for target in targets
        }

    async def whole(self, target: Target, trials: Iterable[str], since: datetime, now: datetime) -> Curves:
        self.asked.append(sorted(trials))
        self.metrics.append(target.metrics)
        if target.study_uid in self.too_large:
            raise PrometheusError("query processing would load too many samples into memory")
        return {trial: self.curves[trial] for trial in self.asked[-1]}


def scrapes(number: int, last_ago: float = 1.0) -> tuple[Sample, ...]:
    """Return one sample an interval, the last one so many seconds ago."""
    end = datetime.now(UTC) - timedelta(seconds=last_ago)
    return tuple(Sample(end - (number - 1 - i) * INTERVAL, 1.0 / (i + 1), 10 * (i + 1), 0) for i in range(number))


async def polled(reader: CurveReader, study: StudyView) -> Any:
    """Let the reader poll once, and return what it knows."""
    await reader._poll([study])
    return reader.view(study)


async def test_a_trial_that_began_before_we_looked_is_read_from_its_beginning_once() -> None:
    prometheus = StandIn()
    reader, study = CurveReader(prometheus, INTERVAL), a_study()  # type: ignore[arg-type]
    prometheus.curves = {"old": scrapes(40), "new": scrapes(2)}
    view = await polled(reader, study)
    assert (len(view.curves["old"]), len(view.curves["new"])) == (40, 2)
    assert prometheus.asked == [["new", "old"]]
    prometheus.curves = {"old": scrapes(41), "new": scrapes(3)}
    await polled(reader, study)
    assert prometheus.asked == [["new", "old"]]


async def test_new_samples_are_joined_to_the_known_ones_without_repetition() -> None:
    prometheus = StandIn()
    reader, study = CurveReader(prometheus, INTERVAL), a_study()  # type: ignore[arg-type]
    all_of_it = scrapes(4)
    for seen in (2, 3, 4):
        prometheus.curves = {"trial": all_of_it[:seen]}
        await reader._poll([study])
    # By now the first one lies outside the window.
    prometheus.curves = {"trial": all_of_it[1:]}
    assert (await polled(reader, study)).curves == {"trial": all_of_it}


async def test_studies_that_stop_nothing_keep_no_curves() -> None:
    prometheus = StandIn()
    reader, study = CurveReader(prometheus, INTERVAL), a_study(stopping={"rule": "None"})  # type: ignore[arg-type]
    prometheus.curves = {"old": scrapes(40)}
    view = await polled(reader, study)
    assert view.curves == {}
    assert view.latest["old"].step == 400
    assert prometheus.asked == []


async def test_an_unreachable_prometheus_changes_nothing_that_is_known() -> None:
    prometheus = StandIn()
    reader, study = CurveReader(prometheus, INTERVAL), a_study()  # type: ignore[arg-type]
    prometheus.curves = {"new": scrapes(2)}
    before = await polled(reader, study)
    prometheus.down = True
    after = await polled(reader, study)
    assert after.curves == before.curves
    assert not after.reachable


async def test_one_study_s_curves_that_cannot_be_read_blind_nobody_and_are_asked_for_again() -> None:
    prometheus = StandIn()
    reader = CurveReader(prometheus, INTERVAL)  # type: ignore[arg-type]
    large, small = a_study(view={"uid": "large"}), a_study(view={"uid": "small"})
    prometheus.curves, prometheus.too_large = {"trial": scrapes(3)}, {"large"}
    await reader._poll([large, small])
    assert (reader.view(large).reachable, reader.view(large).curves) == (True, {})
    assert reader.view(large).latest["trial"].step == 30
    assert len(reader.view(small).curves["trial"]) == 3
    prometheus.too_large = set()
    assert len((await polled(reader, large)).curves["trial"]) == 3


async def test_scrapes_that_saw_nothing_new_are_not_kept() -> None:
    prometheus = StandIn()
    reader, study = CurveReader(prometheus, INTERVAL), a_study()  # type: ignore[arg-type]
    prometheus.curves = {"trial": scrapes(2)}
    await reader._poll([study])
    first, second = reader.view(study).curves["trial"]
    again = replace(second, time=second.time + timedelta(seconds=0.5))
    prometheus.curves = {"trial": (second, again)}
    assert (await polled(reader, study)).curves["trial"] == (first, second)


async def test_only_of_a_trial_that_ended_are_further_metrics_read() -> None:
    prometheus = StandIn()
    objective = {"metric": "train_loss", "constraints": [{"metric": "latency", "max": 10}]}
    reader, study = CurveReader(prometheus, INTERVAL), a_study(objective=objective)  # type: ignore[arg-type]
    trial = a_trial()
    prometheus.curves = {trial.name: scrapes(2)}
    await polled(reader, study)
    await reader.whole(study, trial)
    running, ended = prometheus.metrics
    assert running == ()
    assert ended[0] == "latency"
    assert "grad_norm" in ended
    assert "train_loss" not in ended  # the objective itself
