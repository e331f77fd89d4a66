"""How a model is run: in which precision, and compiled or not."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tuning_trainer.knobs import ConfigurationError
from tuning_trainer.parameters import Parameters

Forward = Callable[[Tensor], Tensor]
"""From inputs to outputs."""


def in_precision(forward: Forward, parameters: Parameters, device: torch.device) -> Forward:
    """Return the same function, computed as the run's `precision` says; its outputs are float32 in any case.

    With bfloat16, PyTorch's autocast chooses by operation: products of matrices and convolutions in bfloat16, sums and
    normalisations in float32. The weights, their gradient, the optimizer and the loss are float32 throughout, and
    nothing needs to be scaled: bfloat16 has the range of float32.
    """
    if parameters.precision == "float32":
        return forward

    def mixed(inputs: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            outputs = forward(inputs)
        return outputs.float()

    return mixed


def training_forward(model: nn.Module, parameters: Parameters, device: torch.device) -> Forward:
    """Return what training steps run: compiled, if the run says so. Evaluations run the model as it is.

    Raises:
        ConfigurationError: it says so, and there is nothing here to compile with.
    """
    if not parameters.compile:
        return in_precision(model, parameters, device)
    require_compiler(device)
    return in_precision(torch.compile(model), parameters, device)


def require_compiler(device: torch.device) -> None:
    """Refuse where `torch.compile` does not work, found out by compiling one addition.

    Raises:
        ConfigurationError: with the reason: in most cases that the image has no C compiler.
    """
    try:
        torch.compile(_increment)(torch.zeros(8, device=device))
    except Exception as error:  # PyTorch raises whatever its backend, Triton or the C compiler met
        reason = " ".join((str(error) or repr(error)).partition("\n\n")[0].split())
        raise ConfigurationError(
            f"compile is true, and torch.compile does not work in this container ({reason:.200}): "
            "build the image on a base that has a C++ compiler (of pytorch/pytorch: one called devel), or set it false"
        ) from error


def _increment(x: Tensor) -> Tensor:
    return x + 1
