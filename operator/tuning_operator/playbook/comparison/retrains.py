"""Which trials to train again, and with which seeds, so that a change can be decided on (ADP-2, ADP-7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tuning_contract.environment import ParameterValue
from tuning_operator.api.hyperparameters import Meaning
from tuning_operator.api.hyperparameters import Role as HyperparameterRole
from tuning_operator.playbook.comparison.adoption import retrains_wanted
from tuning_operator.playbook.comparison.outcome import Outcome, Reason
from tuning_operator.playbook.comparison.question import question
from tuning_operator.playbook.meaning import meaning_of
from tuning_operator.playbook.records import Purpose, State, StudyRecord, TrialRecord
from tuning_operator.search.seeds import derived_seed


class Role(StrEnum):
    """Which side of the question a retrain is of."""

    BASELINE = "Baseline"
    CANDIDATE = "Candidate"


@dataclass(frozen=True)
class PlannedRetrain:
    """One training to be made."""

    of: str
    """The trial to train again."""
    parameters: Mapping[str, ParameterValue]
    """That trial's, but for seeds that are the same in all trials: of these, too, each pair has its own."""
    side: Role
    pair: int
    """Both sides have one retrain of each pair, from 0."""
    seed: int
    """Of all randomness of the training, in [0, 2**31): the same for both sides of a pair, and no search trial's."""

    @property
    def number(self) -> int:
        """Its number among the study's retrains, from 0; the same whenever the plan is made."""
        return 2 * self.pair + (self.side is Role.CANDIDATE)


def retrain_plan(study: StudyRecord, outcome: Outcome) -> list[PlannedRetrain]:
    """Return the retrains that are still to be made, pair by pair; none where nothing can be decided by them.

    Both sides get the number that the study has fixed. Where `budget.maxRetrains` does not reach so far, none is made:
    the decision would never come, and `Adoption` says what to raise. A retrain that was made, or is under way, is not
    planned again; one that was lost or has failed for reasons of its own is,
    as far as the budget goes.
    """
    asked = question(study)
    wanted = retrains_wanted(study)
    if study.spec.retrains is None or asked is None or study.spec.budget.max_retrains < 2 * wanted:
        return []
    if outcome.reason in (Reason.ARM_WITHOUT_RESULT, Reason.TOO_FEW_TRIALS):
        return []
    made = {
        (t.of, t.seed)
        for t in study.trials
        if t.purpose is Purpose.RETRAIN and t.state not in (State.LOST, State.FAILED)
    }
    planned = []
    for pair in range(wanted):
        seed = derived_seed(study.spec.search.seed, "retrain", pair, "training") % 2**31
        for role, side in ((Role.BASELINE, asked.baseline), (Role.CANDIDATE, asked.candidate)):
            best = side.best
            if best is not None and (best.name, seed) not in made:
                planned.append(PlannedRetrain(best.name, _reseeded(study, best, seed), role, pair, seed))
    used = sum(1 for t in study.trials if t.purpose is Purpose.RETRAIN and t.state is not State.LOST)
    return planned[: max(study.spec.budget.max_retrains - used, 0)]


def _reseeded(study: StudyRecord, trial: TrialRecord, seed: int) -> dict[str, ParameterValue]:
    """Return the trial's parameters with other seeds in the place of fixed ones.

    The variance of retraining is that of all sources of randomness (ADP-2): trials of a search may share the order of
    their examples, or their first weights, and retrains must not.
    """
    seeds = [h for h in study.spec.hyperparameters if meaning_of(h) is Meaning.SEED]
    fixed = {h.parameter_name for h in seeds if h.role is HyperparameterRole.FIXED}
    return {
        name: _like(value, derived_seed(seed, name, 0, "retrain") % 2**31) if name in fixed else value
        for name, value in trial.parameters.items()
    }


def _like(value: ParameterValue, seed: int) -> ParameterValue:
    return str(seed) if isinstance(value, str) else seed
