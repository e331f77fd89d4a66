"""Goes through the Playbook's checklist: off the event loop, within a time, and never in the way of a study."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from tuning_operator.playbook.analysis import Analysis, analyse
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.trials import study_record
from tuning_operator.study.snapshot import AnalysisFailed, StudyView, TrialView

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=60)
THREADS = 2


@dataclass
class Analysing:
    """Analyses studies."""

    patience: timedelta = PATIENCE
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "analyse"))

    async def analyse(
        self,
        study: StudyView,
        trials: Sequence[TrialView],
        earlier: Sequence[tuple[StudyView, Sequence[TrialView]]] = (),
    ) -> Analysis | AnalysisFailed:
        """Return what the Playbook says of a study.

        Args:
            study: the study.
            trials: its trials, with their curves.
            earlier: the studies before it with theirs, the oldest first.
        """
        where = {"study": study.name, "namespace": study.namespace}

        def run() -> Analysis:
            records: list[StudyRecord] = [study_record(*each) for each in (*earlier, (study, trials))]
            return analyse(records[-1], records[:-1])

        try:
            async with asyncio.timeout(self.patience.total_seconds()):
                return await asyncio.get_running_loop().run_in_executor(self._threads, run)
        except TimeoutError:
            message = f"The analysis took longer than {self.patience.total_seconds():g} s; `kubectl tuning report` does it."
            log.warning("%s", message, extra=where)
            return AnalysisFailed("AnalysisTimedOut", message)
        except Exception as error:
            log.exception("A study could not be analysed.", extra=where)
            return AnalysisFailed("AnalysisFailed", f"The analysis failed: {type(error).__name__}: {error}"[:1024])
