"""Operators that start in a moment: a process that has imported everything forks one at each request.

What runs in the child is `tuning_operator.__main__.main()`, as in `python -m tuning_operator`. For tests that kill the
operator dozens of times.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from hack.paths import ROOT
from tests.support.operators import Operator


class Nursery:
    """For a `with` block."""

    def __enter__(self) -> "Nursery":
        path = os.pathsep.join([str(ROOT / "operator"), str(ROOT)])
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.support.nursery"],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.kill()
        self._parent.wait(10)

    def fork(self, env: dict[str, str], log: Path) -> int:
        """Start an operator; return its process id."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps({"env": env, "log": str(log)}) + "\n")
        self._parent.stdin.flush()
        return int(self._parent.stdout.readline())


class Fork(Operator):
    """An operator from the nursery."""

    nursery: Nursery
    _pid: int | None = None

    def start(self) -> None:
        """Start the process."""
        self._pid = self.nursery.fork(self.env, self.log)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._pid is not None and Path(f"/proc/{self._pid}").exists()

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._pid is not None
        return self._pid

    def kill(self) -> None:
        """SIGKILL, and wait until it is dead."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        while self.alive:
            time.sleep(0.005)


def main() -> None:
    """Fork a child for each line of the input."""
    from kubernetes.aio.config import kube_config

    from tuning_operator.__main__ import main as operator

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are reaped at once
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.environ.update(order["env"])
            kube_config.KUBE_CONFIG_DEFAULT_LOCATION = order["env"]["KUBECONFIG"]  # read when it was imported
            log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for stream in (1, 2):
                os.dup2(log, stream)
            os._exit(operator())
        print(pid, flush=True)


if __name__ == "__main__":
    main()
