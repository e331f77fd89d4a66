"""The two custom resources as kubectl shows them: names, columns, subresources."""

from typing import Final

from tuning_operator.api.crd import Column, Resource
from tuning_operator.api.study import TuningStudySpec
from tuning_operator.api.study_rules import STUDY_RULES
from tuning_operator.api.study_status import TuningStudyStatus
from tuning_operator.api.trial import TuningTrialSpec, TuningTrialStatus

AGE: Final = Column("Age", ".metadata.creationTimestamp", "date")

STUDY: Final = Resource(
    kind="TuningStudy",
    plural="tuningstudies",
    short_names=("study", "studies", "ts"),
    description="A question to answer by training: its search space, its budget, and what came of it.",
    spec=TuningStudySpec,
    status=TuningStudyStatus,
    columns=(
        Column("State", ".status.state"),
        Column("Progress", ".status.progress", description="Trials with a result, of those wanted."),
        Column("Running", ".status.trials.running", "integer"),
        Column("Failed", ".status.trials.failed", "integer"),
        Column("Best", ".status.best.display", description="The best value of the objective so far."),
        Column("Best-Trial", ".status.best.trial"),
        AGE,
        Column("Objective", ".spec.objective.metric", wide=True),
        Column("Direction", ".spec.objective.direction", wide=True),
        Column("Parallel", ".spec.budget.parallelTrials", "integer", wide=True),
        Column("Seed", ".spec.search.seed", "integer", wide=True),
        Column("Conclusion", ".status.conclusion.state", description="What the Playbook would conclude.", wide=True),
        Column("Why", ".status.conclusion.reason", wide=True),
        Column("Next", ".status.nextStudy.name", description="The study that should follow.", wide=True),
        Column("Goal", ".spec.goal.question", wide=True),
    ),
    rules=STUDY_RULES,
    scale=(".spec.budget.parallelTrials", ".status.trials.running"),
)

TRIAL: Final = Resource(
    kind="TuningTrial",
    plural="tuningtrials",
    short_names=("trial", "trials", "tt"),
    description="One point of a study's search space, trained once. Written by the operator; change the study instead.",
    spec=TuningTrialSpec,
    status=TuningTrialStatus,
    columns=(
        Column("Study", ".spec.studyRef.name"),
        Column("State", ".status.state"),
        Column("Value", ".status.result.display", description="The objective as the study counts it."),
        Column("Step", ".status.result.step", "integer", "The training step at which it was measured."),
        Column("Attempt", ".status.attempt", "integer"),
        AGE,
        Column("Purpose", ".spec.purpose", wide=True),
        Column("Of", ".spec.of", description="The trial that it repeats or probes.", wide=True),
        Column("Reason", ".status.reason", wide=True),
        Column("Source", ".status.result.source", description="Where the result was read.", wide=True),
        Column("By", ".spec.suggestedBy", description="The algorithm that drew the point.", wide=True),
        Column("Job", ".status.job", wide=True),
        Column("Parameters", ".spec.parameters", wide=True),
    ),
    selectable_fields=(".spec.studyRef.name", ".status.state"),
)

RESOURCES: Final = (STUDY, TRIAL)
