"""What the operator finds in a study, as a Playbook author would read it: findings, and the conclusion.

Codes and verdicts are part of the API: programs may rely on them. `VERDICTS` says what each one means.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import Field

from tuning_operator.api.base import Model

Word = Annotated[str, Field(max_length=253)]
PRESERVED: Final[dict[str, Any]] = {"x-kubernetes-preserve-unknown-fields": True}


class Severity(StrEnum):
    """What a finding does to the conclusion."""

    BLOCK = "Block"
    WARN = "Warn"
    INFO = "Info"


class Side(StrEnum):
    """Which end of a range."""

    LOW = "low"
    HIGH = "high"


class Code(StrEnum):
    """What was looked at."""

    SPECIFICATION = "Specification"
    SEARCH_SPACE_EDGE = "SearchSpaceEdge"
    INFEASIBLE = "Infeasible"
    SAMPLING = "Sampling"
    OVERFITTING = "Overfitting"
    STEP_VARIANCE = "StepVariance"
    END_OF_TRAINING = "EndOfTraining"
    STEP_BUDGET = "StepBudget"
    INSTABILITY = "Instability"
    WARMUP = "Warmup"
    CLIPPING = "Clipping"
    PIPELINE_BUG = "PipelineBug"
    FAIR_COMPARISON = "FairComparison"
    ADOPTION = "Adoption"
    ROLE = "Role"
    BATCH_SIZE = "BatchSize"
    MAX_TRAIN_STEPS = "MaxTrainSteps"
    SCHEDULE_CARRY_OVER = "ScheduleCarryOver"
    EXPLOITATION = "Exploitation"


OK: Final = "Ok"
"""The check was made, and all is well."""
UNKNOWN: Final = "Unknown"
"""The check could not be made: there is too little data, or something is not known. Never a pass."""

VERDICTS: Final[Mapping[Code, Mapping[str, str]]] = MappingProxyType(
    {
        Code.SPECIFICATION: {
            "MissingGoal": "The study has no goal: nobody can say what it is to answer (GOL-1).",
            "MaxStepsSearched": "The number of training steps is searched, and the longest run would win (NCB-3).",
            "BatchSizeSearched": "The batch size is searched with a quality objective (BAT-1).",
            "SharedHyperparameter": "One hyperparameter serves several optimizers, whose optima differ (ROL-23).",
            "JointWithConditions": "A joint design with conditional hyperparameters (STU-7).",
            "JointAdaptive": "A joint design with a scientific hyperparameter and an adaptive algorithm (STU-8).",
            "WarmupTooLong": "The warm-up may exceed a tenth of the run (WRM-7).",
            "TimeBasedEvaluation": "Evaluations follow the clock and not the steps (EVS-4).",
            "InvalidRange": "A range that makes no sense, such as low >= high or a logarithm of zero.",
            "OptimizerFixed": "All optimizer hyperparameters, or the learning rate, are fixed beside a scientific one "
            "(ROL-13, ROL-15).",
            "LearningRateScientific": "The learning rate is scientific; its optimum moves with the next change "
            "(ROL-14).",
            "OptimizerChoiceNuisance": "The choice of the optimizer is a nuisance hyperparameter (ROL-17).",
            "RegularizationSwitchNuisance": "Whether to use a regulariser is a nuisance hyperparameter (ROL-20).",
            "ArchitectureNuisance": "An architecture hyperparameter is a nuisance one, although it changes the cost "
            "(ROL-21).",
            "RegularizationFixed": "The strength of a regulariser is fixed while the model's size is scientific "
            "(ROL-12).",
            "SeveralScientific": "More than one hyperparameter is scientific: effects cannot be told apart (GOL-2).",
            "GridDimensions": "A grid in more than two dimensions (QMI-3).",
            "GradientAccumulation": "Gradient accumulation imitates a larger batch without its gain (BAT-13).",
            "EvaluationBatchSmall": "The evaluation batch is smaller than the training batch (EVS-3).",
            "FewEvaluations": "Fewer than twenty evaluations a run (NCB-2).",
            "LinearScale": "A linear scale for a range of more than two decades.",
            "EarlyStopping": "Trials are stopped by comparison while exploring: curves are cut (CKP-4).",
            "AdamTooMany": "More of Adam's hyperparameters are searched than the trials allow (ADM-1 to ADM-4).",
            "AdamLearningRateMissing": "Adam's other hyperparameters are searched, and not its learning rate (ADM-1).",
            "AdamRoomFor": "The trials would allow to search another of Adam's hyperparameters (ADM-2 to ADM-4).",
            "TooManyRounds": "More than three rounds of growing length (CMP-4).",
            "PiecewiseSchedule": "A piecewise schedule, as they are copied from elsewhere (LRD-5).",
            "TooFewTrials": "Too few trials an arm for the number of hyperparameters that are searched (ROL-9).",
            "LowParallelism": "Trials run one after another (INC-1).",
            "UnattendedOptimizer": "An optimizer hyperparameter is neither searched nor fixed on purpose (OPT-3).",
        },
        Code.SEARCH_SPACE_EDGE: {
            "Expand": "The best trials lie at the edge of a range: widen it (BND-4).",
            "Suspicious": "The best trial, but not most of the good ones, lies at an edge (BND-1).",
            "Flat": "The best trial lies at an edge, and it makes no difference.",
            "NaturalLimit": "The best trial lies at a limit that the hyperparameter has by its nature.",
            "FeasibilityEdge": "The best trial lies beside a region where training fails (BND-5).",
        },
        Code.INFEASIBLE: {
            "Note": "Some trials are infeasible.",
            "AdjustRange": "Most are, beyond one value of one hyperparameter (INF-2).",
            "Reparameterise": "Most are, beyond one value of a product or ratio of two hyperparameters (INF-3).",
            "AdjustSpace": "Most are, in a region that no single cut describes.",
            "PossibleBug": "Most are, everywhere: perhaps the training code is wrong (INF-4).",
            "InfrastructureLoss": "Trials were lost to the infrastructure: no evidence about the space.",
        },
        Code.SAMPLING: {
            "Sparse": "Too few points lie in the good region (SMP-3).",
            "Unstable": "A repetition of the study with another search seed comes to another result (ADP-3).",
            "SearchLuck": "The luck of the search exceeds the noise of retraining (NTR-2).",
        },
        Code.OVERFITTING: {
            "BestTrial": "The best trial of an arm overfits problematically (CRV-4).",
            "Elsewhere": "No best trial overfits, but many others do (CRV-8).",
            "Exempt": "It overfits where that is expected: the regulariser is the question (CRV-6).",
        },
        Code.STEP_VARIANCE: {"High": "Late in training the objective jumps from step to step (CRV-10)."},
        Code.END_OF_TRAINING: {
            "StillImproving": "Training still improves at its end: it is compute-bound (CRV-14).",
            "Saturated": "Both losses are flat long before the end: it is not compute-bound (CRV-15).",
            "Mixed": "Some of the best trials still improve, others do not.",
            "Neither": "The training loss falls to the end, and the validation objective does not.",
        },
        Code.STEP_BUDGET: {
            "TooLong": "The best step is always within the first tenth of the run (NCB-4).",
            "TooShort": "The best step is consistently in the last quarter of the run (NCB-5).",
            "InsufficientEvaluations": "Too few evaluations a run to say.",
        },
        Code.INSTABILITY: {
            "Suspected": "The best learning rate lies just below those that fail (WRM-1).",
            "ConfirmedEarly": "Above the best learning rate the loss rises early in training (UNS-2).",
            "ConfirmedMid": "Above the best learning rate the loss rises in the middle of training (UNS-2).",
            "NotConfirmed": "Trials above the best learning rate train smoothly (WRM-2).",
            "HiddenEarly": "The loss jumps within the first steps, between evaluations (UNS-8).",
            "NotProbed": "Evaluations are too far apart to see an early jump, and no probe was made (UNS-9).",
        },
        Code.WARMUP: {
            "Plan": "Warm-ups to try (WRM-4, WRM-7).",
            "Found": "The shortest warm-up that gives access to a higher rate (WRM-6).",
            "RaiseSteps": "It needs more than a twentieth of the run: consider a longer one (WRM-9).",
            "Insufficient": "No warm-up up to a tenth of the run helps.",
        },
        Code.CLIPPING: {
            "Recommended": "Gradient norms have outliers, or training is unstable: clip (CLP-5).",
            "NotNeeded": "Nothing speaks for clipping.",
            "TooAggressive": "More than half of the updates are clipped: lower the learning rate instead (CLP-8).",
            "Tighten": "Training is still unstable: clip harder (CLP-6).",
        },
        Code.PIPELINE_BUG: {
            "TrainLossRises": "The training loss rises, with low learning rates too (CRV-16).",
            "PeriodicValidation": "The validation objective is periodic (EVS-5).",
            "IrregularEvaluation": "Evaluations are not at regular steps (EVS-4).",
            "SubsetSkew": "The sample that is evaluated differs from the whole set (SMPL-2).",
            "PaddedWeights": "The weights of the examples do not add up to the data set's size (EVS-6).",
            "RankDivergence": "Processes started from different weights, or saved different buffers (HST-2, HST-3).",
            "RankSameData": "Processes trained on the same data (HST-3).",
            "SeveralWriters": "More than one process writes checkpoints (HST-1).",
            "SmallClass": "A class has so few examples that one of them matters (SMPL-5).",
            "InputBound": "Much of the time is spent waiting for data (INP-1).",
        },
        Code.FAIR_COMPARISON: {
            "NotTuned": "A nuisance hyperparameter is tuned in one arm and not in another (ISO-4).",
            "Fixed": "An optimizer hyperparameter is tuned in no arm (ROL-15).",
            "Budget": "The arms had different numbers of trials (BAL-4).",
            "Range": "The arms covered different parts of a range (BAL-3).",
            "UnevenSampling": "The scientific values were sampled unevenly (STU-9).",
            "NoBaseline": "There is no arm without the change (ISO-3).",
            "Censored": "Too many trials of an arm were stopped early to compare it.",
        },
        Code.ADOPTION: {
            "Adopt": "The candidate is better, given the variance of retraining (ADP-8).",
            "KeepBaseline": "The candidate has no consistent advantage (ADP-8).",
            "NeedRetrains": "More retrains are needed to say (ADP-7).",
        },
        Code.ROLE: {
            "CanFix": "A nuisance hyperparameter hardly matters: it can be fixed in the next round (EXP-3).",
            "KeepNuisance": "A nuisance hyperparameter matters.",
            "Interacts": "Its optimum differs between the arms: tune it for each (ROL-6).",
            "RemoveFeature": "The feature does not help: leave it out (EXP-5).",
        },
        Code.BATCH_SIZE: {
            "Bottleneck": "Doubling the batch does not nearly double the throughput (BAT-10).",
            "Chosen": "The largest batch size that still gains throughput (BAT-11).",
            "LimitNotReached": "No size ran out of memory: larger ones may be better.",
            "NoBenefit": "Gradient accumulation brings no throughput (BAT-13).",
            "NotTuned": "Batch sizes are compared without tuning each (BSF-2).",
            "Caveat": "What restricts the comparison of batch sizes (BAT-19, BSF-4).",
            "Stale": "The batch size has changed: these optima do not hold any more (BAT-24).",
            "ProbeOutdated": "The probe is of another model, optimizer, precision or device (BAT-14).",
        },
        Code.MAX_TRAIN_STEPS: {
            "Measured": "The steps that the fastest constant rate needs to fit the training set (SWP-4).",
            "InvalidSweep": "The sweep had a schedule, augmentation or regularisation (SWP-3).",
            "NotFitted": "No rate fitted the training set within the run.",
            "Edge": "The fastest rate is at the edge of the sweep (SWP-6).",
            "Recheck": "The gradient's noise has changed: look at the run's length again (STP-7).",
        },
        Code.SCHEDULE_CARRY_OVER: {
            "Planned": "How the schedule goes over to the longer run (RD2-3, RD2-4).",
            "TooMuchLowRate": "The longer run spends its extra steps at a low rate (CMP-9).",
            "DecayStretched": "The decay was stretched with the run (RD2-3).",
            "NotTransferred": "The ranking of the short runs does not hold for the long ones (CMP-6).",
            "Transfer": "What may be carried over from short runs, and what must be tuned again (RD1-2 to RD1-5).",
        },
        Code.EXPLOITATION: {
            "Ready": "The space is understood: go over to Bayesian optimisation (FIN-2 to FIN-4).",
            "NotYet": "Exploration is not done (FIN-2).",
            "KeepQuasiRandom": "So many trials run in parallel that quasi-random search is as good (QMC-8, QMC-11).",
            "Saturated": "The last rounds brought nothing beyond noise (EXP-6).",
        },
    }
)
"""What each verdict of each code means, beside `Ok` and `Unknown`, which every code has."""


class ThresholdUsed(Model):
    """A number that a verdict was measured against."""

    name: str = Field(description="Its name, as in spec.thresholds.", max_length=63)
    value: float = Field(description="Its value in this study.")
    origin: str = Field(
        description="Where it is from: Text or Figure of the Playbook, Default (ours), or Study (spec.thresholds).",
        max_length=16,
    )


class Evidence(Model):
    """What a finding rests on."""

    numbers: dict[str, float] = Field(default_factory=dict, description="Measured numbers, by name.", max_length=32)
    thresholds: list[ThresholdUsed] = Field(
        default_factory=list,
        description="What they were measured against.",
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    trials: list[Word] = Field(
        default_factory=list,
        description="The trials that show it, at most ten.",
        max_length=10,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    notes: list[Annotated[str, Field(max_length=512)]] = Field(
        default_factory=list,
        description="What else there is to say, such as the commonest error message.",
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class Finding(Model):
    """One answer to one question of the Playbook about a study."""

    code: Code = Field(description="What was looked at.")
    verdict: str = Field(
        description="The answer, in one CamelCase word: Ok, Unknown, or one of the code's.", max_length=63
    )
    severity: Severity = Field(
        description="Block: no conclusion may be drawn. Warn: it restricts the conclusion. Info: worth knowing."
    )
    rule: str = Field(description="The Playbook's rule, such as BND-4.", max_length=63)
    parameter: str | None = Field(
        None, description="The parameter that it is about, by the name that the container receives.", max_length=63
    )
    side: Side | None = Field(None, description="Which end of its range.")
    scientific: dict[str, Any] = Field(
        default_factory=dict,
        description="The scientific values of the arm that it is about; empty: the whole study.",
        json_schema_extra=PRESERVED,
    )
    new_limit: float | None = Field(None, description="Where the range should end instead (Expand).")
    expression: str | None = Field(
        None, description="A product or ratio of two parameters (Reparameterise).", max_length=160
    )
    cut: float | None = Field(
        None, description="Beyond which value trials are infeasible (AdjustRange, Reparameterise)."
    )
    message: str = Field("", description="What was found, in a sentence.", max_length=1024)
    evidence: Evidence = Field(default_factory=Evidence, description="What it rests on.")
    action: str = Field("", description="What to do about it.", max_length=1024)


class ConclusionState(StrEnum):
    """Whether the Playbook's checklist lets the study be concluded."""

    ALLOWED = "Allowed"
    BLOCKED = "Blocked"
    PENDING = "Pending"


class AdoptionDecision(StrEnum):
    """Whether a change becomes part of the pipeline."""

    ADOPT = "Adopt"
    KEEP_BASELINE = "KeepBaseline"
    NEED_RETRAINS = "NeedRetrains"
    NONE = "None"


class Conclusion(Model):
    """What the Playbook would conclude from the study."""

    state: ConclusionState = Field(
        description="Allowed: the checklist passed. Blocked: it forbids a conclusion. Pending: too little data."
    )
    winner: dict[str, Any] | None = Field(
        None,
        description="The best scientific values beyond noise, by name; without scientific hyperparameters, the best "
        "trial's parameters. Absent: a tie, or no conclusion.",
        json_schema_extra=PRESERVED,
    )
    decision: AdoptionDecision = Field(
        AdoptionDecision.NONE, description="Whether to adopt the winner; None where there is no such question."
    )
    reason: str = Field(description="Why, in one CamelCase word.", max_length=63)
    message: str = Field("", description="The conclusion in a sentence or two.", max_length=2048)
    difference: float | None = Field(None, description="By how much the winner is better than the next best arm.")
    uncertainty: float | None = Field(None, description="The standard error of that difference.", ge=0)
    confidence: float | None = Field(
        None,
        description="One minus the probability that arms which are alike would show so large a difference.",
        ge=0,
        le=1,
    )
    caveats: list[Annotated[str, Field(max_length=512)]] = Field(
        default_factory=list,
        description="What restricts it.",
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
