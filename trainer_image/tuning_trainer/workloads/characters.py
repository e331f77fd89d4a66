"""The text of Python's own help, 524,780 characters, and a small transformer that predicts the next one.

Source and licence of the text: see make_data.py. It is cut into blocks of 4,096 characters, which are what the splits
divide, and each block into windows of 64: an example is one window, and its targets are the same characters one later.
"""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tuning_trainer.parameters import Parameters
from tuning_trainer.workloads.layers import activation, layer_norm
from tuning_trainer.workloads.splits import split
from tuning_trainer.workloads.workload import Classification, Examples, Workload

CHARACTERS: Final = Path(__file__).with_name("characters.npz")
BLOCK: Final = 4096
CONTEXT: Final = 64
HEAD_WIDTH: Final = 16


def make_workload(parameters: Parameters) -> Workload:
    """Return 4,788 windows to learn from and 1,638 to validate."""
    with np.load(CHARACTERS) as file:
        text = file["utf8"].tobytes().decode()
    alphabet = sorted(set(text))
    codes = {character: code for code, character in enumerate(alphabet)}
    tokens = torch.tensor([codes[character] for character in text])
    blocks = tokens[: len(tokens) // BLOCK * BLOCK].view(-1, BLOCK)
    train, validation, _ = map(torch.tensor, split("characters", len(blocks)))
    return Workload(
        train=windows(blocks[train]),
        validation=windows(blocks[validation]),
        make_model=lambda: Transformer(len(alphabet), parameters),
        task=Classification(),
    )


def windows(blocks: Tensor) -> Examples:
    """Return inputs and targets, each of shape (windows, 64), that do not reach from block to block."""
    count = (BLOCK - 1) // CONTEXT
    inputs, targets = blocks[:, : count * CONTEXT], blocks[:, 1 : count * CONTEXT + 1]
    return inputs.reshape(-1, CONTEXT), targets.reshape(-1, CONTEXT)


class Transformer(nn.Module):  # type: ignore[misc]
    """A decoder: from characters (batch, 64) to logits (batch, 64, alphabet) of the next ones."""

    def __init__(self, alphabet: int, parameters: Parameters) -> None:
        """Make it with `depth` blocks of `hidden_width` features."""
        super().__init__()
        width = parameters.hidden_width
        self.characters = nn.Embedding(alphabet, width)
        self.positions = nn.Embedding(CONTEXT, width)
        nn.init.normal_(self.characters.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.dropout = nn.Dropout(parameters.dropout)
        self.blocks = nn.Sequential(*(Block(width, parameters) for _ in range(parameters.depth)))
        self.norm = nn.Identity() if parameters.normalization == "post" else layer_norm(width, parameters)
        self.head = nn.Linear(width, alphabet)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of each position's next character."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        features = self.dropout(self.characters(tokens) + self.positions(positions))
        logits: Tensor = self.head(self.norm(self.blocks(features)))
        return logits


class Block(nn.Module):  # type: ignore[misc]
    """Attention and a perceptron, each added to what it was given.

    The norm stands inside the branch, x + f(Norm(x)); outside, Norm(x + f(x)), it is known to cause trouble (FIX-5),
    which is what `normalization: post` is for.
    """

    def __init__(self, width: int, parameters: Parameters) -> None:
        """Make both with new weights."""
        super().__init__()
        self.post = parameters.normalization == "post"
        self.attention = nn.Sequential(Attention(width), nn.Dropout(parameters.dropout))
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width),
            activation(parameters),
            nn.Linear(4 * width, width),
            nn.Dropout(parameters.dropout),
        )
        self.norms = nn.ModuleList(layer_norm(width, parameters) for _ in range(2))

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape, (batch, positions, width)."""
        for branch, norm in zip((self.attention, self.perceptron), self.norms, strict=True):
            features = norm(features + branch(features)) if self.post else features + branch(norm(features))
        return features


class Attention(nn.Module):  # type: ignore[misc]
    """Causal self-attention with heads of 16 features, or one head where the width has no such parts."""

    def __init__(self, width: int) -> None:
        """Make it with new weights."""
        super().__init__()
        self.heads = width // HEAD_WIDTH if width % HEAD_WIDTH == 0 else 1
        self.inward = nn.Linear(width, 3 * width)
        self.outward = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Let each position see itself and those before it."""
        batch, positions, width = features.shape
        shape = (batch, positions, 3, self.heads, width // self.heads)
        query, key, value = self.inward(features).view(shape).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        outward: Tensor = self.outward(seen.transpose(1, 2).reshape(batch, positions, width))
        return outward
