"""The Playbook's checklist: every question that a study is asked, in the order in which the answers need each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Final

from tuning_operator.api.findings import Code, Finding
from tuning_operator.playbook import exploitation
from tuning_operator.playbook.comparison import adoption, fairness
from tuning_operator.playbook.curves import end_of_training, overfitting, pipeline, step_budget, step_variance
from tuning_operator.playbook.length import batch_size, first_length, rounds
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.space import design, edges, infeasible, roles, sampling
from tuning_operator.playbook.specification import checks as specification
from tuning_operator.playbook.stability import clipping, hidden, instability, warmup


@dataclass(frozen=True)
class Case:
    """What a check may look at."""

    study: StudyRecord
    earlier: tuple[StudyRecord, ...] = ()
    """The studies before it, the oldest first."""
    findings: tuple[Finding, ...] = ()
    """The answers of the checks before it."""


@dataclass(frozen=True)
class Check:
    """One question of the checklist."""

    id: str
    """Its number among the Playbook's rules that can be automated, such as K02."""
    question: str
    codes: tuple[Code, ...]
    """Of the findings that answer it."""
    ask: Callable[[Case], list[Finding]]


def _of_study(check: Callable[[StudyRecord], list[Finding]]) -> Callable[[Case], list[Finding]]:
    @wraps(check)
    def ask(case: Case) -> list[Finding]:
        return check(case.study)

    return ask


def _with_earlier(
    check: Callable[[StudyRecord, Sequence[StudyRecord]], list[Finding]],
) -> Callable[[Case], list[Finding]]:
    @wraps(check)
    def ask(case: Case) -> list[Finding]:
        return check(case.study, case.earlier)

    return ask


def _with_findings(
    check: Callable[[StudyRecord, Sequence[Finding]], list[Finding]],
) -> Callable[[Case], list[Finding]]:
    @wraps(check)
    def ask(case: Case) -> list[Finding]:
        return check(case.study, case.findings)

    return ask


@wraps(exploitation.check)
def _exploitation(case: Case) -> list[Finding]:
    return exploitation.check(case.study, case.findings, case.earlier)


CHECKLIST: Final = (
    Check("K04", "Could this study answer its question at all?", (Code.SPECIFICATION,), _of_study(specification.check)),
    Check("K24", "Is the training pipeline free of bugs?", (Code.PIPELINE_BUG,), _of_study(pipeline.check)),
    Check("K07", "What do the infeasible trials say?", (Code.INFEASIBLE,), _of_study(infeasible.check)),
    Check("K08", "Is training stable above the best learning rate?", (Code.INSTABILITY,), _of_study(instability.check)),
    Check("K16", "Do the first steps hide an instability?", (Code.INSTABILITY,), _of_study(hidden.check)),
    Check("K02", "Is the search space large enough?", (Code.SEARCH_SPACE_EDGE,), _of_study(edges.check)),
    Check("K05", "Do the best trials overfit?", (Code.OVERFITTING,), _of_study(overfitting.check)),
    Check("K13", "Does late noise drown the difference?", (Code.STEP_VARIANCE,), _of_study(step_variance.check)),
    Check("K11", "Were enough points sampled?", (Code.SAMPLING,), _with_earlier(sampling.check)),
    Check("K12", "Was the space covered evenly?", (Code.FAIR_COMPARISON, Code.SAMPLING), _of_study(design.check)),
    Check("K03", "Is the comparison fair?", (Code.FAIR_COMPARISON,), _with_findings(fairness.check)),
    Check("K09", "Do trials train for the right number of steps?", (Code.STEP_BUDGET,), _of_study(step_budget.check)),
    Check("K10", "Does training still improve at its end?", (Code.END_OF_TRAINING,), _of_study(end_of_training.check)),
    Check("K06", "Should the change be adopted?", (Code.ADOPTION,), _with_earlier(adoption.check)),
    Check("K14", "Would a warm-up help?", (Code.WARMUP,), _with_earlier(warmup.check)),
    Check("K15", "Should gradients be clipped?", (Code.CLIPPING,), _of_study(clipping.check)),
    Check("K23", "Which hyperparameters matter?", (Code.ROLE,), _of_study(roles.check)),
    Check(
        "K17, K18",
        "Which batch size, and what does a change of it end?",
        (Code.BATCH_SIZE,),
        _with_earlier(batch_size.check),
    ),
    Check("K20", "How long must training be at first?", (Code.MAX_TRAIN_STEPS,), _with_earlier(first_length.check)),
    Check(
        "K21", "What goes over from short runs to long ones?", (Code.SCHEDULE_CARRY_OVER,), _with_earlier(rounds.check)
    ),
    Check("K22", "Is exploration done?", (Code.EXPLOITATION,), _exploitation),
)
