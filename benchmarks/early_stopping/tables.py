"""Where tables come from: trained once and kept outside the checkout."""

import hashlib
import inspect
import os
from pathlib import Path

import numpy as np

from benchmarks.early_stopping import training
from benchmarks.early_stopping.table import Table


def default_cache() -> Path:
    """Return where tables are kept: under the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tuning-operator" / "early-stopping"


def table_of(problem: training.Problem, cache: Path) -> Table:
    """Return a problem's table, trained now where the cache has none of this version of the training code."""
    version = hashlib.sha256(inspect.getsource(training).encode()).hexdigest()[:12]
    path = cache / f"{problem.name}-{version}.npy"
    configurations = training.drawn()
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        np.save(path, training.curves_of(problem, configurations))
    spread = np.random.default_rng(3).lognormal(0, 0.1, training.CONFIGURATIONS)
    return Table(problem.name, np.load(path), (configurations.batch_size / 64) ** 0.5 * spread)
