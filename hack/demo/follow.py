"""Follow a study live, and show what came of it."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from hack import shell
from hack.cluster import Cluster
from hack.demo import view
from hack.demo.installation import NAMESPACE, RELEASE, STUDIES
from hack.progress import console, say
from hack.tools import binaries

POLL_SECONDS = 1.0


def follow(cluster: Cluster, study: str, picture: Path | None) -> None:
    """Show a study's progress until it is over, then its result.

    Args:
        cluster: where the study is.
        study: its name.
        picture: where to keep the result as an SVG; None: nowhere.

    Raises:
        CommandError: the study failed or was rejected; the message says why.
    """
    shown: list[str] = []
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            while not view.is_over(seen := _look(cluster, study)):
                live.update(view.progress(*seen))
                time.sleep(POLL_SECONDS)
    else:
        while not view.is_over(seen := _look(cluster, study)):
            for line in view.news(*seen):
                if line not in shown:
                    shown.append(line)
                    say(line)
            time.sleep(POLL_SECONDS)
    console.print(view.result(*seen))
    if picture is not None:
        canvas = Console(record=True, width=92, file=io.StringIO())
        canvas.print(view.result(*seen))
        # Without the fonts that it would load from elsewhere: a page that shows it should ask nobody.
        picture.write_text(re.sub(r"@font-face \{.*?\}\s*", "", canvas.export_svg(title="make demo"), flags=re.DOTALL))
    _say_where(cluster, study)
    problem = view.problem(seen[0])
    if problem is not None:
        raise shell.CommandError(problem)


def _look(cluster: Cluster, study: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    def get(*arguments: str) -> Any:
        return json.loads(cluster.kubectl("get", *arguments, f"--namespace={STUDIES}", "--output=json"))

    found = get("tuningstudy", study)
    uid = found["metadata"]["uid"]
    trials = get("tuningtrials", f"--selector=tuning-operator.dev/study-uid={uid}")["items"]
    return found, sorted(trials, key=lambda trial: trial["spec"]["index"])


def _say_where(cluster: Cluster, study: str) -> None:
    dashboards = "charts/tuning-operator/dashboards"
    say("")
    say("Look around:")
    say(f"  export KUBECONFIG={cluster.kubeconfig}")
    say(f"  alias kubectl={binaries.kubectl}")
    say(f"  kubectl -n {STUDIES} get studies,trials")
    say(f"  kubectl -n {STUDIES} describe study {study}")
    say("Curves (Prometheus, then open http://localhost:9090):")
    say(f"  kubectl -n {NAMESPACE} port-forward service/{RELEASE}-prometheus 9090")
    say(
        f"Grafana dashboards: {dashboards}/*.json, and in the cluster as ConfigMaps with the label grafana_dashboard=1:"
    )
    say(f"  kubectl -n {NAMESPACE} get configmaps -l grafana_dashboard=1")
    say("Another study: make demo SAMPLE=manifests/samples/02-optimizer-comparison.yaml")
    say("Remove everything: make demo-down")
