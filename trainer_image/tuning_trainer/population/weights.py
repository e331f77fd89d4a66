"""The weights of k models of one shape as one matrix θ with a row each, and the model as a function of a row."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from tuning_trainer.knobs import ConfigurationError


class StackedWeights:
    """θ, shape (k, size): each row in the order in which `FlatWeights` has the weights of one model."""

    def __init__(self, models: Sequence[nn.Module], device: torch.device) -> None:
        """Copy the models' weights.

        Raises:
            ConfigurationError: a model has more than trained weights, such as batch norm's running statistics.
        """
        first = models[0]
        others = [name for name, weight in first.named_parameters() if not weight.requires_grad]
        others += [name for name, _ in first.named_buffers()]
        if others:
            raise ConfigurationError(f"a population's model can only have weights that are trained, not {others[0]}")
        self.shapes = {name: weight.shape for name, weight in first.named_parameters()}
        rows = [torch.cat([weight.detach().flatten() for weight in model.parameters()]) for model in models]
        self.values = torch.stack(rows).to(device)
        decays = [torch.full((shape.numel(),), float(len(shape) >= 2)) for shape in self.shapes.values()]
        self.decays = torch.cat(decays).to(device)
        """1 where weight decay acts, on matrices and kernels; 0 on biases and norms. Shape (size,)."""

    def named(self, values: Tensor) -> dict[str, Tensor]:
        """Return a matrix like θ as the models' weights, shape (k, …) each: views, whose gradient is one matrix."""
        parts = values.split([shape.numel() for shape in self.shapes.values()], dim=1)
        # Not slices: the gradient of each of them would be a whole matrix of zeros but for its part.
        named = zip(self.shapes.items(), parts, strict=True)
        return {name: part.view(-1, *shape) for (name, shape), part in named}

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone."""
        self.values = self.values[rows]


def as_function(model: nn.Module) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    """Return the outputs of a model as a function of weights by name and inputs."""

    def outputs(weights: dict[str, Tensor], inputs: Tensor) -> Tensor:
        # Attention in plain operations: for the fused ones PyTorch knows no way but one member after the other.
        with sdpa_kernel(SDPBackend.MATH):
            result: Tensor = functional_call(model, weights, (inputs,))
        return result

    return outputs


@contextmanager
def refusing_what_vmap_cannot_do() -> Iterator[None]:
    """Tell a model that draws random numbers of its own, or branches on values, from other errors.

    Raises:
        ConfigurationError: in place of what `vmap` raises for it.
    """
    try:
        yield
    except RuntimeError as error:
        if "vmap" in str(error):
            raise ConfigurationError(f"this model cannot be trained in a population: {error}") from error
        raise
