"""The data sets and their splits are the same for everybody: trials of different times and machines are comparable."""

import hashlib

import numpy as np
import pytest

from tests.unit.trainer.needs_torch import torch
from tuning_trainer.parameters import WORKLOADS, Parameters
from tuning_trainer.workloads.characters import CHARACTERS, CONTEXT
from tuning_trainer.workloads.digits import DIGITS
from tuning_trainer.workloads.loading import workload_module
from tuning_trainer.workloads.regression import DEVIATION, MEAN, NOISE_SHARE, friedman, uniform
from tuning_trainer.workloads.splits import split, split_order
from tuning_trainer.workloads.tabular import TABULAR
from tuning_trainer.workloads.workload import Workload


def workload(name: str) -> Workload:
    parameters = Parameters.from_mapping({"workload": name})
    made: Workload = workload_module(parameters).make_workload(parameters)
    return made


def digest(*arrays: object) -> str:
    return hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in arrays)).hexdigest()


def test_the_digits_are_the_published_ones() -> None:
    with np.load(DIGITS) as file:
        assert (file["images"].shape, file["images"].min(), file["images"].max()) == ((1797, 8, 8), 0, 16)
        content = digest(file["images"], file["labels"])
    assert content == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def test_the_tumours_are_the_published_ones() -> None:
    with np.load(TABULAR) as file:
        assert (file["features"].shape, file["labels"].tolist().count(1)) == ((569, 30), 357)
        content = digest(file["features"], file["labels"])
    assert content == "079df9a525cd8263cd770769db093248e5392c693106cff9ff8c0913306181dc"


def test_the_text_is_pythons_own_help() -> None:
    with np.load(CHARACTERS) as file:
        text = file["utf8"].tobytes().decode()
    assert len(text) == 524_780
    assert text.startswith('The "assert" statement\n')
    assert (
        digest(np.frombuffer(text.encode(), np.uint8))
        == "c0f100e8fcbffb4657d77f9247792c19997b8f234fbf2aa344481c869c9ae9cc"
    )


def test_the_regression_has_friedmans_function_and_known_noise() -> None:
    inputs, targets = friedman()
    x = inputs.T
    noise = targets - (10 * np.sin(np.pi * x[0] * x[1]) + 20 * (x[2] - 0.5) ** 2 + 10 * x[3] + 5 * x[4])
    assert inputs.shape == (20_000, 10)
    assert (noise.mean(), noise.std()) == (pytest.approx(0, abs=0.02), pytest.approx(1, abs=0.02))
    assert (targets.mean(), targets.std()) == (pytest.approx(MEAN, abs=0.01), pytest.approx(DEVIATION, abs=0.01))
    assert pytest.approx(0.0413, abs=1e-4) == NOISE_SHARE
    assert np.abs(np.corrcoef(inputs.T) - np.eye(10)).max() < 0.03, "the inputs are independent"


def test_the_regressions_numbers_are_those_of_splitmix64() -> None:
    # The first outputs of Vigna's reference code for seed 0.
    reference = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
    assert uniform(4).tolist() == [(value >> 11) / 2**53 for value in reference]


@pytest.mark.parametrize(
    ("name", "train", "validation", "shape"),
    [
        ("digits", 1078, 359, (1, 8, 8)),
        ("tabular", 341, 114, (30,)),
        ("characters", 4788, 1638, (CONTEXT,)),
        ("regression", 12_000, 4_000, (10,)),
    ],
)
def test_sizes(name: str, train: int, validation: int, shape: tuple[int, ...]) -> None:
    made = workload(name)
    for (inputs, targets), count in ((made.train, train), (made.validation, validation)):
        assert inputs.shape == (count, *shape)
        assert len(targets) == count


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_example_both_trains_and_validates(name: str) -> None:
    made = workload(name)
    rows = [{row.numpy().tobytes() for row in inputs} for inputs, _ in (made.train, made.validation)]
    # Some 64 characters, such as a line of dashes, stand in the help more than once.
    assert len(rows[0] & rows[1]) <= (20 if name == "characters" else 0)


def test_the_tabular_features_are_scaled_by_the_training_split_alone() -> None:
    features, _ = workload("tabular").train
    assert torch.allclose(features.mean(dim=0), torch.zeros(30), atol=1e-5)
    assert torch.allclose(features.std(dim=0), torch.ones(30), atol=1e-5)


def test_a_characters_target_is_the_next_one() -> None:
    inputs, targets = workload("characters").train
    assert torch.equal(inputs[:, 1:], targets[:, :-1])


def test_a_split_never_changes() -> None:
    """A moved example would make old and new trials incomparable: change this number only with the data set."""
    order = split_order("digits", 1797)
    assert sorted(order) == list(range(1797))
    assert digest(np.frombuffer(repr(order).encode(), np.uint8)) == (
        "aa608b37514d670d84c3fc95c880a8493132576dd8d381ed43dbbc7178f6a693"
    )


def test_a_split_takes_every_row_once() -> None:
    parts = split("anything", 101)
    assert [len(part) for part in parts] == [60, 20, 21]
    assert sorted(row for part in parts for row in part) == list(range(101))
