"""Dropout of which each member has its own probability and its own stream of random numbers."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from tuning_trainer.knobs import ConfigurationError


class Masks:
    """Draws for all members what `nn.Dropout` draws for one: on the CPU the very same numbers."""

    def __init__(self, probabilities: Sequence[float], seeds: Sequence[int], device: torch.device) -> None:
        """Seed each member's stream as the ordinary run seeds the global one."""
        self._probabilities = list(probabilities)
        self._streams = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._device = device
        self._shapes: list[torch.Size] = []
        self._waiting: list[Tensor] | None = []

    @property
    def needed(self) -> bool:
        """Whether any member drops anything."""
        return any(self._probabilities)

    def learn(self, forward: Callable[[], object]) -> None:
        """Note where, and in which shapes, one model drops features in its `forward` while training."""
        self._waiting = None
        forward()
        self._waiting = []

    def draw(self) -> list[Tensor]:
        """Return what the features at each of these places are multiplied with, shape (k, …); [] for no dropout."""
        if not self.needed:
            return []
        # Each stream draws in the order of the places, as the ordinary run does.
        masks = [torch.ones((len(self._streams), *shape), device=self._device) for shape in self._shapes]
        for row, (probability, stream) in enumerate(zip(self._probabilities, self._streams, strict=True)):
            if probability:
                for mask in masks:
                    mask[row].bernoulli_(1.0 - probability, generator=stream).div_(1.0 - probability)
        return masks

    def hand_out(self, masks: Sequence[Tensor]) -> None:
        """Let the next forward pass use one member's masks: inside of `vmap`, where that stands for all of them.

        They are drawn outside, where random numbers can come from a stream for each member.
        """
        self._waiting = list(masks)

    def applied(self, features: Tensor) -> Tensor:
        """Return the features of the next place, some of them dropped."""
        if self._waiting is None:
            self._shapes.append(features.shape)
            return features
        return features * self._waiting.pop(0)

    def random_state(self, row: int) -> Tensor:
        """Return where a member's stream is."""
        state: Tensor = self._streams[row].get_state()
        return state

    def go_on_from(self, row: int, random_state: Tensor) -> None:
        """Let a member's stream go on from where it was."""
        self._streams[row].set_state(random_state)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these members alone."""
        self._probabilities = [self._probabilities[row] for row in rows]
        self._streams = [self._streams[row] for row in rows]


class MemberDropout(nn.Module):  # type: ignore[misc]
    """Stands in a population's model where `nn.Dropout` stands in one trial's."""

    def __init__(self, masks: Masks) -> None:
        """Drop by these."""
        super().__init__()
        self._masks = masks

    def forward(self, features: Tensor) -> Tensor:
        """Return the features, some of them dropped while training."""
        return self._masks.applied(features) if self.training and self._masks.needed else features


def with_member_dropout(model: nn.Module, masks: Masks, probability: float) -> nn.Module:
    """Put `MemberDropout` in the place of each `nn.Dropout` of the model, all of which have this probability.

    Raises:
        ConfigurationError: it has another kind of dropout, or one whose probability is not the parameter.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, _DropoutNd):
                if type(child) is not nn.Dropout or child.p != probability:
                    raise ConfigurationError(
                        f"a population's model can have nn.Dropout of the parameter dropout alone, not {child}"
                    )
                setattr(module, name, MemberDropout(masks))
    return model
