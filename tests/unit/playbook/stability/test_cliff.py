"""Where training fails, and how near that is."""

from tuning_operator.playbook.stability.cliff import Cliff, cliff_above, is_near


def test_a_cliff_is_where_from_on_everything_fails_but_for_a_lucky_one_in_ten() -> None:
    assert cliff_above(1e-3, [1e-3, 2e-3], [4e-3, 8e-3]) == Cliff(4e-3, 1e-3, 1)
    assert cliff_above(1e-3, [1e-3, 5e-3], [4e-3, 8e-3]) is None
    assert cliff_above(1e-3, [], []) is None
    assert cliff_above(1e-3, [1e-3, 0.5], [4e-3 * 1.2**n for n in range(9)]) == Cliff(4e-3, 1e-3, 0)
    assert cliff_above(1e-3, [1e-3, 0.5], [4e-3 * 1.2**n for n in range(8)]) is None
    assert is_near(Cliff(4e-3, 1e-3, 9))
    assert is_near(Cliff(1.0, 1e-3, 1))
    assert not is_near(Cliff(4.1e-3, 1e-3, 2))
