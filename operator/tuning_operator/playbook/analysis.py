"""A study read as a Playbook author would read it: the checklist, the conclusion, and what should follow."""

from collections.abc import Sequence
from dataclasses import dataclass

from tuning_operator.api.findings import Conclusion, Finding
from tuning_operator.api.study_status import NextStudyProposal
from tuning_operator.playbook.acknowledged import acknowledged, caveats
from tuning_operator.playbook.checklist import CHECKLIST, Case
from tuning_operator.playbook.comparison.winner import outcome
from tuning_operator.playbook.conclusion.conclude import conclude
from tuning_operator.playbook.conclusion.gate import in_order
from tuning_operator.playbook.follow_ups import FollowUp, follow_ups
from tuning_operator.playbook.proposal.next_study import propose
from tuning_operator.playbook.records import StudyRecord


@dataclass(frozen=True)
class Analysis:
    """What the Playbook says to a study."""

    findings: tuple[Finding, ...]
    """The whole checklist, the most important first: passed checks and those that could not be made, too."""
    conclusion: Conclusion
    next_study: NextStudyProposal | None
    """None: nothing is to be done."""
    follow_ups: tuple[FollowUp, ...] = ()
    """Trials that this study should still run: retrains and probes."""


def analyse(study: StudyRecord, earlier: Sequence[StudyRecord] = ()) -> Analysis:
    """Go through the checklist and draw the conclusion.

    Args:
        study: The study with all of its trials, those that run as far as they have come.
        earlier: The studies before it, the oldest first: further looks at the question, and evidence for what has
            changed.
    """
    case = Case(study, tuple(earlier))
    for check in CHECKLIST:
        case = Case(study, case.earlier, (*case.findings, *check.ask(case)))
    findings = in_order(acknowledged(study, case.findings))
    compared = outcome(study)
    conclusion = conclude(study, findings, compared, caveats(study, case.findings))
    return Analysis(
        tuple(findings),
        conclusion,
        propose(study, findings, conclusion),
        follow_ups(study, findings, compared, conclusion, earlier),
    )
