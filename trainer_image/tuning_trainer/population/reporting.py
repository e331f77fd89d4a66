"""The voices of a population: each member reports as its own trial, and a pack's record says how all of them fare."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tuning_contract.environment import Direction, ObjectiveAt, TrialEnvironment
from tuning_contract.pack import MemberResult, PackRecord
from tuning_contract.record import RecordStatus
from tuning_trainer.population.members import Member
from tuning_trainer.reporting import RecordFile, Reporter, TrialCollector


@dataclass(frozen=True)
class Objective:
    """What the trials are about: the same for all members."""

    metric: str
    direction: Direction = "Minimize"
    at: ObjectiveAt = "Best"
    study: str = ""
    study_uid: str = ""
    metrics: tuple[str, ...] = ()

    def environment(self, member: Member) -> TrialEnvironment:
        """Return what the operator would have told the trial in a pod of its own."""
        return TrialEnvironment(
            study=self.study,
            study_uid=self.study_uid,
            trial=member.trial,
            attempt=member.attempt,
            parameters=member.given,
            seed=member.seed,
            metric=self.metric,
            direction=self.direction,
            at=self.at,
            metrics=self.metrics,
        )


class PackReport:
    """The pack's record, written when all members have said how they fare."""

    def __init__(self, objective: Objective, members: Sequence[Member], record_file: RecordFile | None = None) -> None:
        """Let all members be running, without a result."""
        self._study_uid = objective.study_uid
        self._file = record_file
        self._results = {m.trial: MemberResult(m.trial, m.attempt, RecordStatus.RUNNING) for m in members}

    @property
    def results(self) -> tuple[MemberResult, ...]:
        """How each member fares, in the order in which they were given."""
        return tuple(self._results.values())

    def note(self, result: MemberResult) -> None:
        """Take in how one member fares."""
        self._results[result.trial] = result

    def write(self) -> None:
        """Write the record, where there is a file for it."""
        if self._file is not None:
            self._file.write(PackRecord(self._study_uid, self.results).encode())


class MemberReporter(Reporter):
    """A trial's reporter that tells its pack as well."""

    def __init__(
        self, trial: TrialEnvironment, pack: PackReport, collector: TrialCollector, record_file: RecordFile | None
    ) -> None:
        """Report to the pack, to scrapes, and into the trial's own record where it has a file."""
        self._pack = pack
        self.ended = False
        super().__init__(trial, collector=collector, record_file=record_file)

    def _write(self, status: RecordStatus, reason: str = "", message: str = "") -> None:
        super()._write(status, reason, message)
        self.ended = status is not RecordStatus.RUNNING
        last = self._points[-1] if self._points else None
        told = MemberResult(self._trial.trial, self._trial.attempt, status, self._best, last, reason)
        self._pack.note(told)


class PackCollector(Collector):
    """Exports what all members' collectors export, with the label `trial`."""

    def __init__(self, collectors: Mapping[str, TrialCollector]) -> None:
        """Export for these trials, by name."""
        self._collectors = dict(collectors)

    def collect(self) -> Iterator[Metric]:
        """Yield each series once, with the samples of all members."""
        merged: dict[str, Metric] = {}
        for trial, collector in self._collectors.items():
            for metric in collector.collect():
                mine = merged.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                mine.samples += [s._replace(labels={**s.labels, "trial": trial}) for s in metric.samples]
        yield from merged.values()


def reporters_of(
    objective: Objective, members: Sequence[Member], pack: PackReport, records: Path | None
) -> tuple[dict[str, MemberReporter], PackCollector]:
    """Return each member's reporter by trial, and what exports all of them.

    `records`: a directory, made if need be, for each trial's final record; None: none are kept.
    """
    collectors = {member.trial: TrialCollector() for member in members}
    reporters = {}
    for member in members:
        file = None
        if records is not None:
            records.mkdir(parents=True, exist_ok=True)
            (records / member.trial).touch()
            file = RecordFile(str(records / member.trial))
        reporters[member.trial] = MemberReporter(objective.environment(member), pack, collectors[member.trial], file)
    return reporters, PackCollector(collectors)
