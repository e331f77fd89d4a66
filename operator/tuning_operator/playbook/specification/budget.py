"""How the space is sampled, and with how many trials (K04, ROL-9, INC-1)."""

from typing import Final

from tuning_operator.api.findings import Finding
from tuning_operator.api.search import Algorithm, Design
from tuning_operator.playbook.records import StudyRecord
from tuning_operator.playbook.specification.design import (
    PlannedArm,
    block,
    info,
    is_exploring,
    scientific_of,
    warn,
)
from tuning_operator.playbook.thresholds import Origin, Threshold
from tuning_operator.search.arms import design_of

GRID_DIMENSIONS: Final = Threshold(
    "gridDimensions", 2, Origin.TEXT, "A grid in more dimensions than this wastes its points"
)
TRIALS_PER_DIMENSION: Final = Threshold(
    "trialsPerDimension",
    5,
    Origin.DEFAULT,
    "So many trials an arm for each searched hyperparameter; Adam's brackets ask for as many",
)
TRIALS_LEAST: Final = Threshold(
    "trialsLeast", 8, Origin.DEFAULT, "With fewer trials an arm nothing can be said about the sampling (K11)"
)
PARALLEL: Final = Threshold("parallelLeast", 2, Origin.DEFAULT, "So many trials run at once")


def joint_with_conditions(study: StudyRecord) -> list[Finding]:
    """STU-7: a joint space suits scientific values that share their nuisance hyperparameters."""
    conditional = [h.parameter_name for h in study.spec.hyperparameters if h.when is not None]
    if design_of(study.spec) is not Design.JOINT or not conditional:
        return []
    return [
        block(
            study,
            "JointWithConditions",
            "STU-7",
            f"The design is joint, and {conditional[0]} exists only under a condition.",
            action="Use design Arms, with the scientific values as a list, or remove every when.",
            parameter=conditional[0],
        )
    ]


def joint_adaptive(study: StudyRecord) -> list[Finding]:
    """STU-8: an adaptive algorithm covers the scientific values of a joint space unevenly."""
    search = study.spec.search
    is_adaptive = search.algorithm is Algorithm.BAYESIAN or search.switch_to is not None
    scientific = scientific_of(study.spec)
    is_joint = design_of(study.spec) is Design.JOINT
    if not (is_joint and is_adaptive and scientific and is_exploring(study.spec)):
        return []
    return [
        block(
            study,
            "JointAdaptive",
            "STU-8",
            f"The design is joint, and a Bayesian search will try the values of {scientific[0].parameter_name} "
            "unevenly.",
            action="Use algorithm QuasiRandom while exploring, or design Arms.",
            parameter=scientific[0].parameter_name,
        )
    ]


def grid_dimensions(study: StudyRecord, arm: PlannedArm) -> list[Finding]:
    """QMI-3: a grid is for one or two dimensions; scientific values, which all are tried, are none."""
    dimensions = len(arm.dimensions)
    if study.spec.search.algorithm is not Algorithm.GRID or dimensions <= study.thresholds[GRID_DIMENSIONS]:
        return []
    return [
        warn(
            study,
            "GridDimensions",
            "QMI-3",
            f"The grid has {dimensions} dimensions: of each hyperparameter only a few values are tried.",
            action="Use algorithm QuasiRandom, which tries another value of each in every trial.",
            scientific=arm.scientific,
            numbers={"dimensions": dimensions},
            thresholds=[GRID_DIMENSIONS],
        )
    ]


def too_few_trials(study: StudyRecord, arm: PlannedArm) -> list[Finding]:
    """ROL-9: the more is searched, the worse it is tuned for each scientific value. A space tried whole is enough."""
    dimensions = len(arm.dimensions)
    if not dimensions:
        return []
    needed = int(max(study.thresholds[TRIALS_LEAST], dimensions * study.thresholds[TRIALS_PER_DIMENSION]))
    if arm.size is not None:
        needed = min(needed, arm.size)
    if arm.points >= needed:
        return []
    replicates = study.spec.search.replicates
    return [
        warn(
            study,
            "TooFewTrials",
            "ROL-9",
            f"{arm.points} trials an arm are too few for {_counted(dimensions)}: the luck of the search will decide.",
            action=f"Raise spec.budget.maxTrials to {needed * replicates} for each arm, or fix what matters least.",
            scientific=arm.scientific,
            numbers={"trials": arm.points, "dimensions": dimensions, "needed": needed},
            thresholds=[TRIALS_PER_DIMENSION, TRIALS_LEAST],
        )
    ]


def _counted(dimensions: int) -> str:
    return f"{dimensions} searched hyperparameter{'s' if dimensions > 1 else ''}"


def low_parallelism(study: StudyRecord) -> list[Finding]:
    """INC-1: several training jobs run at once. A model of the results learns more from one after another (QMC-11)."""
    budget = study.spec.budget
    wanted = min(study.thresholds[PARALLEL], budget.max_trials)
    if budget.parallel_trials >= wanted or study.spec.search.algorithm is Algorithm.BAYESIAN:
        return []
    return [
        info(
            study,
            "LowParallelism",
            "INC-1",
            f"{budget.parallel_trials} trial runs at once: {budget.max_trials} trials take long.",
            action="Raise spec.budget.parallelTrials where there is room for more; it changes no trial.",
            numbers={"parallel": budget.parallel_trials},
            thresholds=[PARALLEL],
        )
    ]
