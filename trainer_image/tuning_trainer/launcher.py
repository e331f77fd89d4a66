"""Start several processes of this command that train one model together, and end as they do; no PyTorch here.

As `torchrun --nproc-per-node` does, with the same variables, and with the one difference that matters to the operator:
torchrun ends with 1 whatever its processes ended with, which would make a failure of every interruption.
"""

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final

from tuning_contract.exit_codes import ExitCode

POLL_SECONDS: Final = 0.1
GRACE_SECONDS: Final = 20.0
"""After one process has failed: the time that the others have to see it, to write their record and to end."""
TELLING: Final = (ExitCode.OUT_OF_MEMORY, ExitCode.DIVERGED, ExitCode.BAD_CONFIGURATION)
"""Of different exit codes these are the reason: the other processes only lost a partner."""


def is_one_of_several(env: Mapping[str, str]) -> bool:
    """Whether a launcher has started this process as one of several."""
    return int(env.get("WORLD_SIZE", "1")) > 1


def leads(env: Mapping[str, str]) -> bool:
    """Whether this process is alone or the first of several: the one that reports."""
    return not is_one_of_several(env) or int(env["RANK"]) == 0


def launch(count: int, command: Sequence[str], env: Mapping[str, str], stop: threading.Event) -> int:
    """Run the command in `count` processes until all have ended, and return one exit code for all of them.

    `stop` is handed on as a SIGTERM to each. Where one fails and the others do not end in time, they are killed.
    """
    running = [subprocess.Popen(command, env=variables) for variables in variables_of(count, env)]
    codes: list[int] = []
    told, deadline = False, None
    while running:
        time.sleep(POLL_SECONDS)
        if stop.is_set() and not told:
            told = True
            for child in running:
                child.send_signal(signal.SIGTERM)
        codes += [code for child in running if (code := child.poll()) is not None]
        running = [child for child in running if child.returncode is None]
        if deadline is None and any(codes):
            deadline = time.monotonic() + GRACE_SECONDS
        if deadline is not None and time.monotonic() > deadline:
            for child in running:
                child.kill()
    return code_of_all(codes)


def variables_of(count: int, env: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the environment of each process: how many there are, which one it is, and where they meet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    # All are on this machine; by its name, which gloo would look up, it cannot always be reached.
    common = {"GLOO_SOCKET_IFNAME": "lo", **env, **meeting}
    return [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def code_of_all(codes: Sequence[int]) -> int:
    """Return one exit code for processes that ended, in this order, with `codes`; those of signals are negative.

    >>> code_of_all([0, 0]), code_of_all([1, 101]), code_of_all([143, 143]), code_of_all([-9, 1])
    (0, 101, 143, 137)
    """
    for telling in TELLING:
        if telling in codes:
            return int(telling)
    first = next((code for code in codes if code), 0)
    return first if first >= 0 else 128 - first
