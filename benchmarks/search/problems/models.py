"""Group D: models of scikit-learn on the data sets that come with it, trained at once: milliseconds each.

The spaces are those of bayesmark, widened to what a newcomer would search, with conditions where the model has them.
The loss is that of one fixed hold-out set, on probabilities where the model has any; an instance has its own split.
"""

import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

from benchmarks.search.problems.problem import Problem, Truth, arm_of, choice, only, real, whole
from tuning_operator.search.space import Assignment

Array = np.ndarray[Any, np.dtype[np.float64]]
Parameters = Mapping[str, Any]

LEAST_PROBABILITY = 1e-3
"""A probability of 0 that was wrong would make the loss infinite."""


class Split:
    """A data set, standardised and cut in two."""

    def __init__(self, data: tuple[Array, Array], train: int, instance: int) -> None:
        x, y = data
        order = np.random.default_rng(instance).permutation(len(x))
        x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
        chosen, rest = order[:train], order[train:]
        self.train_x, self.train_y, self.test_x, self.test_y = x[chosen], y[chosen], x[rest], y[rest]

    def log_loss(self, model: Any) -> float:
        """Return a fitted classifier's mean negative log-probability of the right class."""
        probabilities = np.clip(model.predict_proba(self.test_x), LEAST_PROBABILITY, 1)
        columns = np.searchsorted(model.classes_, self.test_y)
        return -float(np.mean(np.log(probabilities[np.arange(len(columns)), columns])))

    def squared_error(self, model: Any) -> float:
        """Return the error of a regressor of the centred target, in units of its variance."""
        wrong = model.predict(self.test_x) + self.train_y.mean() - self.test_y
        return float(np.mean(wrong**2) / np.var(self.test_y))


def support_vectors(split: Split, p: Parameters) -> float:
    """Classify by a support vector machine; the loss is logistic, of its margins."""
    model = SVC(C=p["C"], gamma=p["gamma"], tol=p["tol"], max_iter=20_000).fit(split.train_x, split.train_y)
    margins = model.decision_function(split.test_x) * (2 * split.test_y - 1)
    return float(np.mean(np.logaddexp(0, -margins)))


def support_regression(split: Split, p: Parameters) -> float:
    """Regress by support vectors."""
    model = SVR(C=p["C"], gamma=p["gamma"], epsilon=p["epsilon"], max_iter=20_000)
    return split.squared_error(model.fit(split.train_x, split.train_y - split.train_y.mean()))


def tree(split: Split, p: Parameters) -> float:
    """Classify by a decision tree."""
    return split.log_loss(DecisionTreeClassifier(**p, random_state=0).fit(split.train_x, split.train_y))


def kernel_ridge(split: Split, p: Parameters) -> float:
    """Regress by kernels."""
    return split.squared_error(KernelRidge(**p).fit(split.train_x, split.train_y - split.train_y.mean()))


def linear(split: Split, p: Parameters) -> float:
    """Classify by a linear model, trained by stochastic gradients."""
    model = SGDClassifier(loss="log_loss", max_iter=6, tol=None, random_state=0, **p)
    return split.log_loss(model.fit(split.train_x, split.train_y))


def perceptron(split: Split, p: Parameters) -> float:
    """Classify by a network with one hidden layer, trained by stochastic gradients."""
    model = MLPClassifier((p["hidden"],), solver="sgd", max_iter=12, random_state=0, tol=0)
    model.set_params(**{name: value for name, value in p.items() if name != "hidden"})
    return split.log_loss(model.fit(split.train_x, split.train_y))


MODELS: Mapping[str, tuple[Callable[[Split, Parameters], float], Callable[..., Any], int, list[dict[str, Any]]]] = {
    "svm-breast": (
        support_vectors,
        load_breast_cancer,
        150,
        [real("C", 1e-2, 1e4, "Log"), real("gamma", 1e-6, 10, "Log"), real("tol", 1e-5, 1e-1, "Log")],
    ),
    "svr-diabetes": (
        support_regression,
        load_diabetes,
        200,
        [real("C", 1e-2, 1e4, "Log"), real("gamma", 1e-6, 10, "Log"), real("epsilon", 1e-2, 1e2, "Log")],
    ),
    "tree-digits": (
        tree,
        load_digits,
        600,
        [
            whole("max_depth", 1, 20),
            whole("min_samples_leaf", 1, 100, "Log"),
            real("min_impurity_decrease", 1e-6, 1e-1, "Log"),
            real("max_features", 0.05, 1.0),
            choice("criterion", "gini", "entropy"),
        ],
    ),
    "ridge-diabetes": (
        kernel_ridge,
        load_diabetes,
        200,
        [
            choice("kernel", "linear", "rbf", "laplacian", "poly"),
            real("alpha", 1e-4, 1e3, "Log"),
            real("gamma", 1e-5, 1, "Log", **only("kernel", "rbf", "laplacian", "poly")),
            whole("degree", 1, 5, **only("kernel", "poly")),
            real("coef0", 0, 3, **only("kernel", "poly")),
        ],
    ),
    "linear-digits": (
        linear,
        load_digits,
        300,
        [
            choice("learning_rate", "constant", "invscaling", "adaptive"),
            choice("penalty", "l2", "elasticnet"),
            real("alpha", 1e-7, 1, "Log"),
            real("eta0", 1e-5, 10, "Log"),
            real("power_t", 0.1, 0.9, **only("learning_rate", "invscaling")),
            real("l1_ratio", 0, 1, **only("penalty", "elasticnet")),
        ],
    ),
    "perceptron-wine": (
        perceptron,
        load_wine,
        90,
        [
            whole("hidden", 4, 64, "Log"),
            whole("batch_size", 8, 64, "Log"),
            real("alpha", 1e-5, 10, "Log"),
            real("learning_rate_init", 1e-4, 10, "Log"),
            real("momentum", 0.1, 0.999, "ReverseLog"),
        ],
    ),
}


def model_problems(instance: int) -> list[Problem]:
    """Return the group's six problems."""
    return [
        Problem(name, "D", arm_of(*space), _truth(train, Split(load(return_X_y=True), number, instance)))
        for name, (train, load, number, space) in MODELS.items()
    ]


def _truth(train: Callable[[Split, Parameters], float], split: Split) -> Truth:
    @lru_cache(maxsize=100_000)
    def loss(items: tuple[tuple[str, Any], ...]) -> float | None:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                value = train(split, dict(items))
            except ValueError:
                # How scikit-learn says that weights or predictions are not finite.
                return None
        return value if np.isfinite(value) else None

    def truth(assignment: Assignment) -> float | None:
        return loss(tuple(sorted(assignment.items())))

    return truth
