"""The examples of training code of one's own, as their first lines say: build the image, name it, run its study."""

import json
from typing import Any

import pytest
import yaml

from hack import engine as engines
from hack import images
from hack.paths import ROOT
from tests.support.live import Live, Namespace

MINUTES = 600.0
TRIALS = 4
"""Of each study: as many as show that they run, two at a time."""


def _documents(example: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "examples" / example / "study.yaml").read_text()))


@pytest.mark.parametrize("example", sorted(images.EXAMPLES))
def test_the_study_of_an_example_runs_to_its_end(live: Live, namespace: Namespace, example: str) -> None:
    live.say(f"building the image of examples/{example}")
    engine = engines.find()
    image = images.deliver(engine, images.make_example(engine, example))
    claim, study = _documents(example)
    study["spec"]["trial"]["template"]["spec"]["containers"][0]["image"] = image
    study["spec"]["budget"]["maxTrials"] = TRIALS
    namespace.apply(claim, study)
    name = study["metadata"]["name"]
    status = namespace.wait_for_success(name, MINUTES)["status"]
    assert status["trials"]["succeeded"] == TRIALS
    for trial in namespace.trials(name):
        result = trial["status"]["result"]
        assert result["source"] == "Record"
        curve = json.loads(result["curve"])
        first, *_ = curve["rows"]
        assert result["value"] < first[curve["columns"].index(study["spec"]["objective"]["metric"])]
