"""The voices of a population: each member reports as its own trial, and a pack's record says how all of them fare."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tuning_contract.environment import Direction, ObjectiveAt, TrialEnvironment
from tuning_contract.pack import PackEnvironment, pack_hash
from tuning_contract.pack_record import MemberResult, PackRecord
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_trainer.population.members import Member
from tuning_trainer.reporting import RecordFile, Reporter, TrialCollector


@dataclass(frozen=True)
class Objective:
    """What the trials are about that no operator has told: the same for all members."""

    metric: str
    direction: Direction = "Minimize"
    at: ObjectiveAt = "Best"
    study: str = ""
    study_uid: str = ""
    metrics: tuple[str, ...] = ()

    def environment(self, members: Sequence[Member], checkpoints: Path | None = None) -> PackEnvironment:
        """Return what the operator would have told the members' container.

        `checkpoints`: a directory in which each trial has one of its own, by its name; None: none are kept.
        """
        return PackEnvironment(
            tuple(
                TrialEnvironment(
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
                    checkpoint_dir=None if checkpoints is None else str(checkpoints / member.trial),
                )
                for member in members
            )
        )


class PackReport:
    """The pack's record, written from the start and whenever all members have said how they fare."""

    def __init__(self, environment: PackEnvironment, record_file: RecordFile | None = None) -> None:
        """Let all members be running, without a result."""
        self._study_uid = environment.members[0].study_uid
        self._hash = pack_hash(environment.text)
        self._file = record_file
        self._results = {trial.trial: MemberResult(RecordStatus.RUNNING) for trial in environment.members}
        self.write()

    @property
    def results(self) -> Mapping[str, MemberResult]:
        """How each member fares, by trial, in the order in which they were given."""
        return self._results

    def note(self, record: FinalRecord) -> None:
        """Take in how one member fares."""
        self._results[record.trial] = MemberResult.of(record)

    def has_ended(self, trial: str) -> bool:
        """Whether a member has come to its own end."""
        return self._results[trial].status is not RecordStatus.RUNNING

    def write(self) -> None:
        """Write the record, where there is a file for it."""
        if self._file is not None:
            self._file.write(PackRecord(self._study_uid, self._hash, tuple(self._results.values())).encode())


class PackCollector(Collector):
    """Exports what all members' collectors export, with the labels `trial` and `attempt`."""

    def __init__(self) -> None:
        """Export nothing yet."""
        self._collectors: list[tuple[dict[str, str], TrialCollector]] = []

    def add(self, trial: TrialEnvironment) -> TrialCollector:
        """Return a collector whose series are exported as those of a trial."""
        collector = TrialCollector()
        self._collectors.append(({"trial": trial.trial, "attempt": str(trial.attempt)}, collector))
        return collector

    def collect(self) -> Iterator[Metric]:
        """Yield each series once, with the samples of all members."""
        merged: dict[str, Metric] = {}
        for labels, collector in self._collectors:
            for metric in collector.collect():
                mine = merged.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                mine.samples += [s._replace(labels={**s.labels, **labels}) for s in metric.samples]
        yield from merged.values()


def reporters_of(
    environment: PackEnvironment, report: PackReport, records: Path | None = None
) -> tuple[dict[str, Reporter], PackCollector]:
    """Return each member's reporter by trial, all of which tell the report, and what exports all of them.

    `records`: a directory, made if need be, for each trial's own final record; None: none are kept.
    """
    collector = PackCollector()
    reporters = {
        trial.trial: Reporter(
            trial,
            collector=collector.add(trial),
            record_file=None if records is None else _file_for(trial.trial, records),
            listener=report.note,
        )
        for trial in environment.members
    }
    return reporters, collector


def _file_for(trial: str, records: Path) -> RecordFile:
    records.mkdir(parents=True, exist_ok=True)
    (records / trial).touch()
    return RecordFile(str(records / trial))
