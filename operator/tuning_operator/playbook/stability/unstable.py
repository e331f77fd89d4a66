"""What the rules about instability have said of each arm: whether warm-up and clipping are needed."""

from dataclasses import dataclass

from tuning_operator.api.findings import UNKNOWN, Finding
from tuning_operator.playbook.arms import Arm, arm_key
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.stability import hidden, instability


@dataclass(frozen=True)
class Stability:
    """The answers of K08 and K16 about one arm, one for each learning rate that is searched."""

    above: tuple[Finding, ...]
    """Above the best rate (K08)."""
    early: tuple[Finding, ...]
    """In the first steps (K16)."""

    @property
    def instability(self) -> Finding | None:
        """The finding that training is unstable, K08's before K16's; None: no rule says so."""
        found = [f for f in self.above if f.verdict in instability.CONFIRMED]
        found += [f for f in self.early if f.verdict == "HiddenEarly"]
        return found[0] if found else None

    @property
    def suspicion(self) -> Finding | None:
        """The finding that the best rate lies at a cliff, where no probe has told why."""
        return next((f for f in self.above if f.verdict == "Suspected"), None)

    @property
    def not_known(self) -> Finding | None:
        """The answer that one of the rules could not be applied."""
        return next((f for f in (*self.above, *self.early) if f.verdict in (UNKNOWN, "NotProbed")), None)


def stabilities(study: StudyRecord) -> dict[str, Stability]:
    """Return what K08 and K16 say of each arm, by `arm_key` of its scientific values."""
    above, early = instability.check(study), hidden.check(study)
    keys = {arm_key(f.scientific) for f in above}
    return {
        key: Stability(
            tuple(f for f in above if arm_key(f.scientific) == key),
            tuple(f for f in early if arm_key(f.scientific) == key),
        )
        for key in keys
    }


def stability_of(found: dict[str, Stability], arm: Arm) -> Stability:
    """Return an arm's."""
    return found[arm_key(arm.scientific)]
