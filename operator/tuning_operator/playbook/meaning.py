"""What a hyperparameter is, whatever it is called: rules use meanings and categories, never names."""

import re
from collections.abc import Mapping
from typing import Final

from tuning_operator.api.hyperparameters import Category, Hyperparameter, Meaning

ALIASES: Final[Mapping[Meaning, tuple[str, ...]]] = {
    Meaning.LEARNING_RATE: (
        "learning_rate",
        "lr",
        "base_lr",
        "base_learning_rate",
        "peak_learning_rate",
        "eta",
        "step_size",
    ),
    Meaning.MOMENTUM: ("momentum",),
    Meaning.ONE_MINUS_MOMENTUM: ("one_minus_momentum",),
    Meaning.BETA1: ("beta1", "beta_1", "b1", "adam_beta1"),
    Meaning.ONE_MINUS_BETA1: ("one_minus_beta1", "one_minus_beta_1"),
    Meaning.BETA2: ("beta2", "beta_2", "b2", "adam_beta2"),
    Meaning.EPSILON: ("epsilon", "eps", "adam_epsilon"),
    Meaning.WEIGHT_DECAY: ("weight_decay", "wd", "l2", "l2_penalty", "l2_regularization"),
    Meaning.DROPOUT: ("dropout", "dropout_rate", "drop_rate", "dropout_p"),
    Meaning.LABEL_SMOOTHING: ("label_smoothing",),
    Meaning.BATCH_SIZE: ("batch_size", "train_batch_size", "global_batch_size", "bs"),
    Meaning.EVALUATION_BATCH_SIZE: ("eval_batch_size", "evaluation_batch_size", "validation_batch_size"),
    Meaning.GRADIENT_ACCUMULATION: (
        "gradient_accumulation",
        "gradient_accumulation_steps",
        "accumulation_steps",
        "accumulate_grad_batches",
    ),
    Meaning.MAX_STEPS: (
        "max_steps",
        "max_train_steps",
        "train_steps",
        "num_train_steps",
        "num_steps",
        "steps",
        "total_steps",
        "epochs",
        "num_epochs",
        "max_epochs",
        "num_train_epochs",
    ),
    Meaning.WARMUP_STEPS: ("warmup_steps", "num_warmup_steps", "lr_warmup_steps"),
    Meaning.WARMUP_FRACTION: ("warmup_fraction", "warmup_ratio", "warmup_proportion"),
    Meaning.DECAY: (
        "schedule",
        "lr_schedule",
        "lr_scheduler",
        "lr_scheduler_type",
        "decay",
        "lr_decay",
        "decay_steps",
        "decay_factor",
        "final_learning_rate_fraction",
    ),
    Meaning.CLIP_NORM: ("clip_norm", "grad_clip", "gradient_clip", "max_grad_norm", "gradient_clip_val", "clip"),
    Meaning.AUGMENTATION: ("augmentation", "augment", "data_augmentation", "mixup", "cutmix", "randaugment"),
    Meaning.OPTIMIZER: ("optimizer", "optim", "optimiser"),
    Meaning.MODEL_SIZE: (
        "num_layers",
        "layers",
        "n_layers",
        "depth",
        "hidden_width",
        "hidden_size",
        "hidden_dim",
        "width",
        "d_model",
        "num_heads",
        "units",
        "channels",
    ),
    Meaning.ACTIVATION: ("activation", "activation_function", "nonlinearity"),
    Meaning.NORMALIZATION: ("normalization", "norm", "norm_layer"),
    Meaning.PRECISION: ("precision", "dtype", "torch_dtype", "mixed_precision", "amp"),
    Meaning.SEED: (
        "seed",
        "random_seed",
        "order_seed",
        "data_seed",
        "shuffle_seed",
        "initialization_seed",
        "init_seed",
        "dropout_seed",
    ),
}
"""By which names of parameters a meaning is recognised where the study does not state it."""

_BY_ALIAS: Final[Mapping[str, Meaning]] = {alias: meaning for meaning, names in ALIASES.items() for alias in names}

CATEGORIES: Final[Mapping[Meaning, Category]] = {
    Meaning.LEARNING_RATE: Category.OPTIMIZER,
    Meaning.MOMENTUM: Category.OPTIMIZER,
    Meaning.ONE_MINUS_MOMENTUM: Category.OPTIMIZER,
    Meaning.BETA1: Category.OPTIMIZER,
    Meaning.ONE_MINUS_BETA1: Category.OPTIMIZER,
    Meaning.BETA2: Category.OPTIMIZER,
    Meaning.EPSILON: Category.OPTIMIZER,
    Meaning.WEIGHT_DECAY: Category.REGULARIZATION,
    Meaning.DROPOUT: Category.REGULARIZATION,
    Meaning.LABEL_SMOOTHING: Category.REGULARIZATION,
    Meaning.WARMUP_STEPS: Category.SCHEDULE,
    Meaning.WARMUP_FRACTION: Category.SCHEDULE,
    Meaning.DECAY: Category.SCHEDULE,
    Meaning.CLIP_NORM: Category.OPTIMIZER,
    Meaning.AUGMENTATION: Category.DATA,
    Meaning.OPTIMIZER: Category.OPTIMIZER_CHOICE,
    Meaning.MODEL_SIZE: Category.ARCHITECTURE,
    Meaning.ACTIVATION: Category.ARCHITECTURE,
    Meaning.NORMALIZATION: Category.ARCHITECTURE,
}
"""The category that follows from a meaning; of all others it is `other`."""


def meaning_of(hyperparameter: Hyperparameter) -> Meaning:
    """Return what the hyperparameter is: as the study says, else by the name that the container receives."""
    if hyperparameter.meaning is not None:
        return hyperparameter.meaning
    return _BY_ALIAS.get(_snake_case(hyperparameter.parameter_name), Meaning.OTHER)


def category_of(hyperparameter: Hyperparameter) -> Category:
    """Return the hyperparameter's category: as the study says, else by its meaning.

    A regulariser that is a list of Booleans is a switch: whether to use it, and not how much of it (ROL-20).
    """
    if hyperparameter.category is not None:
        return hyperparameter.category
    category = CATEGORIES.get(meaning_of(hyperparameter), Category.OTHER)
    if category is Category.REGULARIZATION and set(hyperparameter.values or ()) == {"true", "false"}:
        return Category.REGULARIZATION_SWITCH
    return category


def _snake_case(name: str) -> str:
    """Return a name in lower case with underscores: `learningRate` and `Learning_Rate` are `learning_rate`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
