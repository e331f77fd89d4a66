"""What a trial says beside its curve goes there and back, and what is malformed is refused by its name."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_contract.diagnostics import ClassCount, Diagnostics, Evaluation, LogHistogram, Rank, Throughput

WHOLE = Diagnostics(
    grad_norm_histogram=LogHistogram({-3: 5, 0: 1, 12: 7}),
    dense_loss=(2.5, math.inf, -math.inf),
    full_evaluation=Evaluation(0.25, 10_000),
    sample_evaluation=Evaluation(0.26, 500),
    weight_sum=9_999.5,
    dataset_size=10_000,
    per_class={"cat": ClassCount(20, 18), "dog": ClassCount(0, 0)},
    ranks=(Rank(0, "w", "b", "m", True), Rank(1)),
    throughput=Throughput(64, None, 0.5),
)

COUNT = st.integers(0, 2**53)
FRACTION = st.floats(0, 1)
NUMBER = st.floats(allow_nan=False)
HISTOGRAM = st.builds(LogHistogram, st.dictionaries(st.integers(-3240, 3082), COUNT, max_size=5))
ALL = st.builds(
    Diagnostics,
    grad_norm_histogram=st.none() | HISTOGRAM,
    dense_loss=st.lists(NUMBER, max_size=5).map(tuple),
    full_evaluation=st.none() | st.builds(Evaluation, FRACTION, COUNT),
    sample_evaluation=st.none() | st.builds(Evaluation, FRACTION, COUNT),
    weight_sum=st.none() | NUMBER,
    dataset_size=st.none() | COUNT,
    per_class=st.dictionaries(st.text(max_size=5), st.builds(ClassCount, COUNT, COUNT), max_size=3),
    ranks=st.lists(st.builds(Rank, COUNT, *[st.text(max_size=3)] * 3, st.booleans()), max_size=3).map(tuple),
    throughput=st.none()
    | st.builds(Throughput, COUNT, st.none() | st.floats(allow_nan=False, allow_infinity=False), st.none() | FRACTION),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(10**400), 10**400) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def there_and_back(diagnostics: Diagnostics) -> Diagnostics:
    return Diagnostics.from_json(json.loads(json.dumps(diagnostics.to_json(), allow_nan=False)))


@given(ALL)
def test_all_of_it_goes_there_and_back_as_json(diagnostics: Diagnostics) -> None:
    assert there_and_back(diagnostics) == diagnostics


def test_its_spelling_is_the_one_that_files_and_records_share() -> None:
    assert there_and_back(WHOLE) == WHOLE
    assert WHOLE.to_json() == {
        "gradNormHistogram": {"bucketsPerDecade": 10, "counts": {"-3": 5, "0": 1, "12": 7}},
        "denseLoss": [2.5, "Infinity", "-Infinity"],
        "fullEvaluation": {"error": 0.25, "examples": 10_000},
        "sampleEvaluation": {"error": 0.26, "examples": 500},
        "weightSum": 9_999.5,
        "datasetSize": 10_000,
        "perClass": {"cat": {"examples": 20, "correct": 18}, "dog": {"examples": 0, "correct": 0}},
        "ranks": [
            {"rank": 0, "initialWeights": "w", "firstBatch": "b", "buffers": "m", "writesCheckpoints": True},
            {"rank": 1, "writesCheckpoints": False},
        ],
        "throughput": {"batchSize": 64, "examplesPerSecond": None, "utilisation": 0.5},
    }


def test_what_is_not_measured_is_left_out_and_what_is_not_known_is_ignored() -> None:
    assert Diagnostics().to_json() == {}
    assert Diagnostics.from_json({"invented": 1, "datasetSize": None}) == Diagnostics()


def test_a_weight_sum_that_is_not_a_number_is_told() -> None:
    assert repr(there_and_back(Diagnostics(weight_sum=math.nan)).weight_sum) == "nan"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "diagnostics must be an object"),
        ([], "diagnostics must be an object"),
        ({"gradNormHistogram": {}}, "gradNormHistogram: a histogram must be"),
        (
            {"gradNormHistogram": {"bucketsPerDecade": 5, "counts": {}}},
            "gradNormHistogram: bucketsPerDecade must be 10",
        ),
        ({"gradNormHistogram": {"counts": {"a": 1}}}, "gradNormHistogram: a bucket must be an integer"),
        ({"gradNormHistogram": {"counts": {"1.5": 1}}}, "gradNormHistogram: a bucket must be an integer"),
        ({"gradNormHistogram": {"counts": {"99999": 1}}}, "gradNormHistogram: a bucket must be an integer"),
        ({"gradNormHistogram": {"counts": {"1": -1}}}, "gradNormHistogram: a bucket's count must"),
        ({"gradNormHistogram": {"counts": {"1": True}}}, "gradNormHistogram: a bucket's count must"),
        ({"denseLoss": 1}, "denseLoss: must be a list"),
        ({"denseLoss": [1, "nan"]}, "denseLoss: not a number"),
        ({"denseLoss": [10**400]}, "denseLoss: an integer too large"),
        ({"fullEvaluation": {"error": 0.5}}, "fullEvaluation: an evaluation must be"),
        ({"fullEvaluation": {"error": 1.5, "examples": 1}}, r"fullEvaluation: error must lie in \[0, 1\]"),
        ({"fullEvaluation": {"error": math.nan, "examples": 1}}, "fullEvaluation: error must be a finite number"),
        ({"sampleEvaluation": {"error": 0.5, "examples": 1.5}}, "sampleEvaluation: examples must be an integer"),
        ({"weightSum": "many"}, "weightSum: not a number"),
        ({"datasetSize": -1}, "datasetSize: datasetSize must be an integer"),
        ({"perClass": []}, "perClass: must be an object"),
        ({"perClass": {"cat": {"examples": 1}}}, "perClass: a class must be"),
        ({"ranks": {}}, "ranks: must be a list"),
        ({"ranks": [{}]}, "ranks: a rank must be"),
        ({"ranks": [{"rank": 0, "buffers": 7}]}, "ranks: buffers must be a text"),
        ({"ranks": [{"rank": 0, "writesCheckpoints": "no"}]}, "ranks: writesCheckpoints must be true or false"),
        ({"throughput": {}}, "throughput: a throughput must be"),
        ({"throughput": {"batchSize": 1, "examplesPerSecond": 10**400}}, "throughput: examplesPerSecond must be a fin"),
        ({"throughput": {"batchSize": 1, "utilisation": 2}}, "throughput: utilisation must lie"),
    ],
)
def test_a_malformed_field_is_named(data: object, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}"):
        Diagnostics.from_json(data)


@given(st.dictionaries(st.sampled_from(sorted(WHOLE.to_json())), ANYTHING))
def test_any_field_of_any_type_is_read_or_refused_by_a_value_error(data: dict[str, Any]) -> None:
    try:
        found = Diagnostics.from_json(data)
    except ValueError:
        return
    assert there_and_back(found) is not None


class TestLogHistogram:
    @pytest.mark.parametrize(
        ("value", "bucket"),
        [(1.0, 0), (0.999, -1), (9.99, 9), (10.0, 10), (1e-3, -30), (5e-324, -3234), (1.7e308, 3082)],
    )
    def test_a_bucket_is_a_tenth_of_a_decade(self, value: float, bucket: int) -> None:
        assert LogHistogram.bucket_of(value) == bucket

    @given(st.floats(1e-300, 1e300))
    def test_a_number_lies_in_its_bucket(self, value: float) -> None:
        bucket = LogHistogram.bucket_of(value)
        assert 10 ** (bucket / 10) * (1 - 1e-9) <= value <= 10 ** ((bucket + 1) / 10) * (1 + 1e-9)

    def test_what_is_no_positive_number_is_not_counted(self) -> None:
        assert LogHistogram.of([1.0, 0.0, -1.0, math.nan, math.inf]) == LogHistogram({0: 1})

    @given(st.lists(st.floats(1e-9, 1e9)), st.lists(st.floats(1e-9, 1e9)))
    def test_two_parts_of_a_run_make_the_whole_s(self, first: list[float], second: list[float]) -> None:
        assert LogHistogram.of(first).merged(LogHistogram.of(second)) == LogHistogram.of(first + second)

    @given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=50), st.floats(0, 1))
    def test_a_percentile_is_right_to_within_a_bucket(self, values: list[float], q: float) -> None:
        exact = sorted(values)[max(math.ceil(q * len(values)) - 1, 0)]
        assert exact / 1.27 <= LogHistogram.of(values).percentile(q) <= exact * 1.27

    def test_buckets_without_a_count_hold_no_percentile(self) -> None:
        assert LogHistogram({-30: 0, 0: 1, 30: 0}).percentile(0.0) == 1.0
        assert LogHistogram({-30: 0, 0: 1, 30: 0}).percentile(1.0) == pytest.approx(10**0.1)

    def test_nothing_has_no_percentile(self) -> None:
        with pytest.raises(ValueError, match="empty"):
            LogHistogram().percentile(0.9)

    @given(HISTOGRAM, st.integers(1, 4))
    def test_narrowing_keeps_the_highest_buckets_and_every_count(self, histogram: LogHistogram, most: int) -> None:
        narrow = histogram.narrowed(most)
        assert narrow.total == histogram.total
        assert sorted(narrow.counts) == sorted(histogram.counts)[-most:]
        highest = sorted(histogram.counts)[-most:][1:]
        assert [narrow.counts[k] for k in highest] == [histogram.counts[k] for k in highest]
