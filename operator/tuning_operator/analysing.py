"""Goes through the Playbook's checklist: off the event loop, within a time, and never in the way of a study."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from tuning_operator.clients.telemetry import ANALYSIS_SECONDS
from tuning_operator.playbook.analysis import Analysis, analyse
from tuning_operator.playbook.trials import study_record
from tuning_operator.study.concluding import ended_searches, ended_trials
from tuning_operator.study.snapshot import AnalysisFailed, DatedAnalysis, StudyView, TrialView

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=60)
AT_ONCE = 2
"""So many studies are analysed side by side; their time runs only while they are."""
THREADS = 8
"""One that takes too long goes on in its thread to its end; others must not wait for it."""

Trials = Sequence[TrialView]
"""Of one study, with their curves."""


@dataclass
class Analysing:
    """Analyses studies."""

    patience: timedelta = PATIENCE
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "analyse"))
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def analyse(
        self, study: StudyView, trials: Trials, earlier: Sequence[tuple[StudyView, Trials]] = ()
    ) -> DatedAnalysis:
        """Return what the Playbook says of a study.

        Args:
            study: the study.
            trials: its trials.
            earlier: the studies before it with theirs, the oldest first.
        """
        result = await self._result(study, trials, earlier)
        return DatedAnalysis(result, ended_trials(trials), ended_searches(trials), study.generation)

    async def _result(
        self, study: StudyView, trials: Trials, earlier: Sequence[tuple[StudyView, Trials]]
    ) -> Analysis | AnalysisFailed:
        where = {"study": study.name, "namespace": study.namespace}
        try:
            async with self._turns:
                with ANALYSIS_SECONDS.time():
                    async with asyncio.timeout(self.patience.total_seconds()):
                        loop = asyncio.get_running_loop()
                        return await loop.run_in_executor(self._threads, _analysis, study, trials, earlier)
        except TimeoutError:
            message = f"The analysis took longer than {self.patience.total_seconds():g} s."
            log.warning("%s", message, extra=where)
            return AnalysisFailed("AnalysisTimedOut", message)
        except Exception as error:
            log.exception("A study could not be analysed.", extra=where)
            return AnalysisFailed("AnalysisFailed", f"The analysis failed: {type(error).__name__}: {error}"[:1024])


def _analysis(study: StudyView, trials: Trials, earlier: Sequence[tuple[StudyView, Trials]]) -> Analysis:
    before = [study_record(*each) for each in earlier]
    return analyse(study_record(study, trials, study.round), before)
