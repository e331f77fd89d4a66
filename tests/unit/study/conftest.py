"""A busy machine makes no test fail: nothing here looks at the clock."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None, max_examples=50)
settings.load_profile("unhurried")
