"""PyTorch for the tests that need it; importing this skips a module, and says so, where there is none."""

import pytest

pytest.importorskip(
    "torch", reason="NEEDS PYTORCH, which only the trainer image has: see 'Test' in trainer_image/README.md"
)

import torch as torch
