"""`python -m hack.trainer_tests`: the trainer's tests, in the trainer image, since PyTorch lives there alone."""

from __future__ import annotations

import subprocess
import sys

from hack import engine as engines
from hack import images, shell
from hack.engine import Engine
from hack.paths import ROOT
from hack.progress import Step, run, say

DOCKERFILE = ROOT / "trainer_image" / "Dockerfile.test"


def main() -> int:
    """Build what is missing, run the tests as a trial's pod would run, and return their exit code."""
    try:
        if not engines.available():
            run([Step("Install Podman: no container engine answers here", engines.install, 25)])
        engine = engines.find()
        built: list[str] = []
        run([Step("Build the trainer image and its tests", lambda: built.append(_build(engine)), 200)])
    except shell.CommandError as error:
        say(f"error: {error}")
        return 1
    confined = ("--read-only", "--tmpfs=/tmp", "--network=none", "--cap-drop=all")
    command = [engine.name, "run", "--rm", *confined, built[0], "-q", "tests/unit/trainer"]
    return subprocess.run(command, env=shell.environment(engine.environment), check=False).returncode


def _build(engine: Engine) -> str:
    trainer = images.make(engine, "trainer")
    built = {name: images.make_example(engine, name) for name in images.EXAMPLES}
    arguments = {"TRAINER_IMAGE": trainer, "LIGHTNING_IMAGE": built["lightning"]}
    return images.build_image(DOCKERFILE, ROOT, "trainer-test", engine=engine, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
