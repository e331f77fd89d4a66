"""PyTorch Lightning for the tests that need it; importing this skips a module, and says so, where there is none.

Dockerfile.test puts the packages of the example's image beside the trainer's; here they come after all others, so that
the trainer is tested with its own.
"""

import sys

import pytest

from tests.unit.trainer.needs_torch import torch as torch

PACKAGES = "/opt/packages"

sys.path.append(PACKAGES)
pytest.importorskip(
    "lightning", reason="NEEDS LIGHTNING, which the trainer's test image has: see 'Test' in trainer_image/README.md"
)
