"""All problems of an instance: 30 of them. Instance 1 is for development, the others are for reports."""

from benchmarks.search.problems.bbob import bbob_problems
from benchmarks.search.problems.hartmann import hartmann_problems
from benchmarks.search.problems.models import model_problems
from benchmarks.search.problems.problem import Problem
from benchmarks.search.problems.quadratic import quadratic_problems
from benchmarks.search.problems.tables import table_problems

DEVELOPMENT = 1
REPORT = 2


def suite(instance: int, groups: str = "ABCDE") -> list[Problem]:
    """Return the problems of an instance that belong to one of the groups."""
    makers = (bbob_problems, quadratic_problems, hartmann_problems, model_problems, table_problems)
    problems = [problem for make in makers for problem in make(instance)]
    return [problem for problem in problems if problem.group in groups]
