"""Ghost batch norm is plain batch norm on each ghost batch, and forgets how the examples came in."""

import pytest

from tests.unit.trainer.needs_torch import torch
from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.workloads.layers import GHOST_BATCH, GhostBatchNorm

PLAIN = {1: torch.nn.BatchNorm1d, 2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm2d}


def a_ghost(virtual_batch_size: int = 8) -> GhostBatchNorm:
    """Return one over three features whose weights and moving statistics are not those of a new one."""
    ghost = GhostBatchNorm(3, virtual_batch_size, epsilon=1e-3, momentum=0.2)
    with torch.no_grad():
        for value in (*ghost.parameters(), *ghost.buffers()):
            value.copy_(torch.rand(3) + 0.5)
    return ghost


def plain_like(ghost: GhostBatchNorm, dimensions: int) -> torch.nn.Module:
    plain = PLAIN[dimensions](3, eps=ghost.epsilon, momentum=ghost.momentum)
    plain.load_state_dict(ghost.state_dict(), strict=False)
    return plain


def examples(count: int, dimensions: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, *range(4, 3 + dimensions)) * 2 + 1


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("ghosts", [1, 2, 5])
def test_it_is_batch_norm_on_each_ghost_batch(ghosts: int, dimensions: int) -> None:
    torch.manual_seed(0)
    ghost, inputs = a_ghost(), examples(8 * ghosts, dimensions).requires_grad_()
    plain = [plain_like(ghost, dimensions) for _ in range(ghosts)]
    expected = torch.cat([norm(part) for norm, part in zip(plain, inputs.split(8), strict=True)])
    outputs = ghost(inputs)
    torch.testing.assert_close(outputs, expected)
    towards = torch.randn_like(outputs)
    (gradient,) = torch.autograd.grad((expected * towards).sum(), inputs)
    (outputs * towards).sum().backward()
    torch.testing.assert_close(inputs.grad, gradient)
    for name in ("running_mean", "running_var"):
        mean = torch.stack([getattr(norm, name) for norm in plain]).mean(dim=0)
        torch.testing.assert_close(getattr(ghost, name), mean)


def test_it_evaluates_with_its_moving_statistics_any_number_of_examples() -> None:
    torch.manual_seed(0)
    ghost = a_ghost().eval()
    plain = plain_like(ghost, 1).eval()
    inputs = examples(13)
    assert torch.equal(ghost(inputs), plain(inputs))
    assert torch.equal(ghost(inputs[:1]), ghost(inputs)[:1])


def test_an_example_s_output_depends_on_its_ghost_batch_and_not_on_how_large_the_batch_is() -> None:
    torch.manual_seed(0)
    ghost, inputs = a_ghost(4), examples(16)
    torch.testing.assert_close(ghost(inputs)[:4], ghost(inputs[:4]))
    assert GhostBatchNorm(3).virtual_batch_size == GHOST_BATCH == 64


def test_examples_that_cannot_be_cut_are_refused_in_training() -> None:
    with pytest.raises(
        ConfigurationError, match="12 examples cannot be cut into ghost batches of 8: batch_size must be"
    ):
        a_ghost()(examples(12))
