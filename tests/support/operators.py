"""The operator as a process of its own: started, asked, stopped and killed as Kubernetes would."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError, URLError

from hack.control_plane import free_port
from hack.paths import ROOT

UNREACHABLE = "http://127.0.0.1:9"
READY_SECONDS = 120.0


class Operator:
    """One `python -m tuning_operator`; it may be started again after its end."""

    def __init__(self, kubeconfig: Path, log: Path, prometheus: str = UNREACHABLE, **settings: str) -> None:
        self.port = free_port()
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.env = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "operator"),
            "KUBECONFIG": str(kubeconfig),
            "TUNING_OPERATOR_PROMETHEUS_URL": prometheus,
            "TUNING_OPERATOR_TRAINER_IMAGE": "localhost/trainer",
            "TUNING_OPERATOR_PORT": str(self.port),
            **{f"TUNING_OPERATOR_{name.upper()}": value for name, value in settings.items()},
        }
        # A pod's service account would win over the kubeconfig.
        self.env.pop("KUBERNETES_SERVICE_HOST", None)

    def __enter__(self) -> "Operator":
        self.start()
        self.await_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start the process."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tuning_operator"], env=self.env, stdin=subprocess.DEVNULL, stderr=log
            )

    def await_ready(self) -> None:
        """Wait until the operator says that it is ready, or that it misses nothing but a Prometheus."""
        deadline = time.monotonic() + READY_SECONDS
        while self.unready() not in ("", "no answer from Prometheus"):
            assert self.alive, f"the operator ended: {self.tail()}"
            assert time.monotonic() < deadline, f"the operator is not ready: {self.tail()}"
            time.sleep(0.05)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL, and wait until it is dead."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def terminate(self, within: float) -> int:
        """SIGTERM; return the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(within)

    def probe(self, path: str) -> int | None:
        """Return the HTTP status of /healthz or /readyz; None where nobody answers."""
        try:
            return self._get(path)[0]
        except HTTPError as error:
            return error.code
        except (URLError, OSError):
            return None

    def unready(self) -> str:
        """Return what /readyz says that the operator waits for; empty: it is ready."""
        try:
            self._get("readyz")
        except HTTPError as error:
            return error.read().decode()
        except (URLError, OSError):
            return "nobody answers"
        return ""

    def metrics(self) -> dict[str, float]:
        """Return the operator's own metrics by name with labels."""
        lines = self._get("metrics")[1].splitlines()
        return {
            name: float(value) for line in lines if not line.startswith("#") for name, value in [line.rsplit(" ", 1)]
        }

    def metric(self, pattern: str) -> float:
        """Return the sum of the metrics whose name with labels matches."""
        return sum(value for name, value in self.metrics().items() if re.search(pattern, name))

    def resident_mib(self) -> float:
        """Return the memory that the process holds."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return 0.0 if found is None else int(found[1]) / 1024

    def tail(self, lines: int = 15) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text().splitlines()[-lines:])

    def _get(self, path: str) -> tuple[int, str]:
        with _DIRECT.open(f"http://127.0.0.1:{self.port}/{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
