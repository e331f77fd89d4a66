"""Numbers go through JSON and back, the non-finite ones as their names."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_contract.numbers import decode_number, encode_number


@given(st.floats())
def test_there_and_back(value: float) -> None:
    text = json.dumps(encode_number(value), allow_nan=False)
    back = decode_number(json.loads(text))
    assert back == value or (math.isnan(back) and math.isnan(value))


@pytest.mark.parametrize("value", [None, True, "1", "nan", "inf", "infinity", "", [], math.nan, math.inf, 10**400])
def test_nothing_else_is_a_number(value: object) -> None:
    with pytest.raises(ValueError, match=r"number|large"):
        decode_number(value)
