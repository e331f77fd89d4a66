"""Draws points that depend on results: off the event loop, within a time, and quasi-randomly where that is not enough.

A trial is drawn once and written down, so it does not matter that a slower machine may draw another one.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

from tuning_operator.clients.telemetry import SUGGESTION_SECONDS
from tuning_operator.search.arms import Arm, arms_of
from tuning_operator.search.observation import Observation
from tuning_operator.search.suggest import Suggestion, suggest_adaptively, suggest_without_model
from tuning_operator.study.decision import Decision
from tuning_operator.study.evidence import observations_of, previous_evidence
from tuning_operator.study.snapshot import Place, Snapshot, StudyView

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=10)
"""How long all suggestions of one look may take together."""
THREADS = 8
"""One that takes too long goes on in its thread to its end; others must not wait for it."""


@dataclass
class Drawing:
    """Draws what decisions ask for."""

    patience: timedelta = PATIENCE
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "suggest"))

    async def draw(self, snapshot: Snapshot, decision: Decision) -> dict[Place, Suggestion]:
        """Return a suggestion for each of the decision's draws, in sight of the earlier ones and of its results."""
        study = snapshot.study
        arms = arms_of(study.spec)
        deadline = asyncio.get_running_loop().time() + self.patience.total_seconds()
        after = {write.trial.name: replace(write.trial, status=write.status) for write in decision.trial_statuses}
        own = observations_of(study.spec, {**snapshot.trials, **after}.values())
        observations = [*previous_evidence(snapshot).observations, *own]
        drawn: dict[Place, Suggestion] = {}
        for number, position in decision.draws:
            suggestion = await self._one(study, arms[number], position, observations, deadline)
            drawn[number, position] = suggestion
            observations = [*observations, Observation(number, position, suggestion.assignment)]
        return drawn

    async def _one(
        self, study: StudyView, arm: Arm, position: int, observations: list[Observation], deadline: float
    ) -> Suggestion:
        loop = asyncio.get_running_loop()
        task = (study.spec, arm, position, observations)
        why = f"the model took longer than {self.patience.total_seconds():g} s"
        if loop.time() < deadline:
            try:
                with SUGGESTION_SECONDS.time():
                    async with asyncio.timeout_at(deadline):
                        return await loop.run_in_executor(self._threads, suggest_adaptively, *task)
            except TimeoutError:
                log.warning("%s.", why, extra={"study": study.name, "namespace": study.namespace})
            except Exception as error:
                log.exception("No model for the next trial.", extra={"study": study.name, "namespace": study.namespace})
                why = f"the model failed: {error}"[:256]
        return await asyncio.to_thread(suggest_without_model, *task, why)
