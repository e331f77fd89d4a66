"""Goes through the Playbook's checklist: off the event loop, within a time, and never in the way of a study."""

import asyncio
import logging
from collections.abc import AsyncIterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from tuning_operator.api.study import TuningStudySpec
from tuning_operator.clients.telemetry import ANALYSIS_SECONDS
from tuning_operator.playbook.analysis import Analysis, analyse
from tuning_operator.playbook.records import StudyRecord, TrialRecord
from tuning_operator.playbook.trials import trial_record
from tuning_operator.study.concluding import ended_searches, ended_trials
from tuning_operator.study.snapshot import AnalysisFailed, DatedAnalysis, StudyView, TrialView

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=60)
AT_ONCE = 2
"""So many studies are analysed side by side; their time runs only while they are."""
THREADS = 8
"""One that takes too long goes on in its thread to its end; others must not wait for it."""

Pages = AsyncIterable[Sequence[TrialView]]
"""The trials of one study with their curves, some hundred at a time: what the rules look at takes a third of the room
that the objects take, so that ten thousand trials fit into the operator's memory."""


@dataclass(frozen=True)
class Recorded:
    """A study as the rules look at it."""

    record: StudyRecord
    ended: int
    """How many trials had ended."""
    searched: int
    """How many of the search's."""
    problem: str | None
    """What the rules cannot read; begins with the trial's name."""


@dataclass
class Analysing:
    """Analyses studies."""

    patience: timedelta = PATIENCE
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "analyse"))
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def analyse(
        self, study: StudyView, trials: Pages, earlier: Sequence[tuple[StudyView, Pages]] = ()
    ) -> DatedAnalysis:
        """Return what the Playbook says of a study.

        Args:
            study: the study.
            trials: its trials.
            earlier: the studies before it with theirs, the oldest first.

        Raises:
            ClusterError: a page could not be read.
        """
        before = [await recorded(*each) for each in earlier]
        now = await recorded(study, trials, study.round)
        result = await self._result(study, now, before)
        return DatedAnalysis(result, now.ended, now.searched, study.generation)

    async def _result(self, study: StudyView, now: Recorded, before: Sequence[Recorded]) -> Analysis | AnalysisFailed:
        where = {"study": study.name, "namespace": study.namespace}
        for each in (now, *before):
            if each.problem is not None:
                log.warning("A study could not be analysed: %s", each.problem, extra=where)
                return AnalysisFailed("AnalysisFailed", f"The analysis failed: {each.problem}"[:1024])
        try:
            async with self._turns:
                with ANALYSIS_SECONDS.time():
                    async with asyncio.timeout(self.patience.total_seconds()):
                        loop = asyncio.get_running_loop()
                        return await loop.run_in_executor(
                            self._threads, _analysis, now.record, [each.record for each in before]
                        )
        except TimeoutError:
            message = f"The analysis took longer than {self.patience.total_seconds():g} s."
            log.warning("%s", message, extra=where)
            return AnalysisFailed("AnalysisTimedOut", message)
        except Exception as error:
            log.exception("A study could not be analysed.", extra=where)
            return AnalysisFailed("AnalysisFailed", f"The analysis failed: {type(error).__name__}: {error}"[:1024])


def _analysis(study: StudyRecord, earlier: Sequence[StudyRecord]) -> Analysis:
    return analyse(study, earlier)


async def recorded(study: StudyView, pages: Pages, number: int = 1) -> Recorded:
    """Read a study page by page; `number`: which one of a chain it is.

    Raises:
        ClusterError: a page could not be read.
    """
    trials: list[TrialRecord] = []
    ended, searched, problem = 0, 0, None
    async for page in pages:
        ended += ended_trials(page)
        searched += ended_searches(page)
        try:
            trials += await asyncio.to_thread(_records, study.spec, page)
        except ValueError as error:
            problem = problem or str(error)
    trials.sort(key=lambda trial: trial.index)
    return Recorded(StudyRecord(study.name, study.spec, tuple(trials), number), ended, searched, problem)


def _records(spec: TuningStudySpec, page: Sequence[TrialView]) -> list[TrialRecord]:
    return [trial_record(spec, trial) for trial in page]
