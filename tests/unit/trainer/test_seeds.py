"""One root, one independent stream for each source of randomness."""

from tuning_trainer.seeds import seed_of


def test_seeds_of_different_sources_and_of_neighbouring_roots_differ() -> None:
    seeds = {seed_of(root, source) for root in range(100) for source in ("initialization", "data", "dropout")}
    assert len(seeds) == 300
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_the_same_everywhere() -> None:
    assert seed_of(0, "data") == 736_872_305_540_241_488
