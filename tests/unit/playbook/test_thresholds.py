"""Numbers that verdicts are measured against."""

from tuning_operator.playbook.thresholds import DEFAULTS, Origin, Threshold, Thresholds

BAND = Threshold("edgeBand", 0.1, Origin.DEFAULT, "a share of the range")
STEPS = Threshold("probeRate", 5.0, Origin.TEXT, "times the best rate")


def test_a_threshold_has_its_default_where_the_study_says_nothing() -> None:
    assert DEFAULTS[BAND] == 0.1


def test_the_study_may_set_it() -> None:
    assert Thresholds({"edgeBand": 0.2})[BAND] == 0.2
    assert Thresholds({"edgeBand": 0.2})[STEPS] == 5.0


def test_evidence_says_where_each_number_is_from() -> None:
    used = Thresholds({"edgeBand": 0.2}).used(BAND, STEPS)
    assert [(t.name, t.value, t.origin) for t in used] == [("edgeBand", 0.2, "Study"), ("probeRate", 5.0, "Text")]
