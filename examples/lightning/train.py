"""A model in PyTorch Lightning, and the few lines that make its training a trial of a study."""

from typing import Any

import lightning as L  # noqa: N812 - as Lightning's own documentation does
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tuning_trainer.lightning import TuningCallback

EXAMPLES = 4096
FEATURES = 10
NOISE = 0.2


class Regressor(L.LightningModule):  # type: ignore[misc]
    """A perceptron; its arguments are what a study can search."""

    def __init__(self, learning_rate: float = 0.01, weight_decay: float = 0.0, hidden_width: int = 32) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, hidden_width), nn.ReLU(), nn.Linear(hidden_width, 1), nn.Flatten(0)
        )

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        inputs, targets = batch
        return nn.functional.mse_loss(self.layers(inputs), targets)

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """Log the loss under the name that the study has as its objective."""
        inputs, targets = batch
        self.log("validation_loss", nn.functional.mse_loss(self.layers(inputs), targets))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the update rule."""
        return torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)


def examples(seed: int) -> TensorDataset:
    """Return rows of Friedman's function of uniformly distributed features, half of which say nothing."""
    numbers = torch.Generator().manual_seed(seed)
    x = torch.rand(EXAMPLES, FEATURES, generator=numbers)
    y = torch.sin(torch.pi * x[:, 0] * x[:, 1]) + 2 * (x[:, 2] - 0.5) ** 2 + x[:, 3] + 0.5 * x[:, 4]
    return TensorDataset(x, y + NOISE * torch.randn(EXAMPLES, generator=numbers))


def main() -> None:
    """Train, as the environment says."""
    tuning = TuningCallback.from_env()  # first of all: it takes SIGTERM, and serves the metrics
    parameters: dict[str, Any] = dict(tuning.trial.parameters)
    batch_size = parameters.pop("batch_size", 64)
    epochs = parameters.pop("epochs", 10)
    L.seed_everything(tuning.trial.seed, verbose=False)  # after the split, which is the same for every seed
    trainer = L.Trainer(
        max_epochs=epochs,
        callbacks=[tuning],
        logger=False,
        enable_checkpointing=False,  # the callback keeps the trial's; ModelCheckpoint can keep others
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(
        Regressor(**parameters),
        DataLoader(examples(seed=0), batch_size=batch_size, shuffle=True),
        DataLoader(examples(seed=1), batch_size=1024),
        ckpt_path=tuning.checkpoint,
    )


if __name__ == "__main__":
    main()
