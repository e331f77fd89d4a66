"""Studies and trials as the API server holds them: lists of kubectl's, and the cluster itself."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import Manifest, a_study, a_trial
from tests.support.cli import kubectl_tuning
from tuning_cli import cluster as door
from tuning_cli.problems import InputError, Warnings
from tuning_cli.reading.kubernetes_objects import trials_from_list
from tuning_cli.reading.places import Document, to_yaml
from tuning_cli.reading.study_file import StudyFile, study_of
from tuning_operator.api.findings import Conclusion, ConclusionState
from tuning_operator.clients.cluster import Cluster
from tuning_operator.clients.errors import NotFound, Unreachable
from tuning_operator.playbook.analysis import Analysis
from tuning_operator.playbook.records import State

CURVE = json.dumps({"columns": ["step", "validation_loss"], "rows": [[10, 0.9], [20, 0.5]]})


def in_cluster(
    name: str = "digits", uid: str = "6f1c", status: Mapping[str, Any] | None = None, **spec: Any
) -> Manifest:
    study = a_study(name, **spec)
    study["metadata"] |= {"uid": uid, "namespace": "ml"}
    return study | ({"status": dict(status)} if status else {})


def ended(number: int, value: float = 0.5, rate: float = 0.01, state: str = "Succeeded", **reference: Any) -> Manifest:
    trial = a_trial(f"digits-0a1b2c3d-{number}", index=number, parameters=json.dumps({"learning_rate": rate}))
    trial["spec"]["studyRef"] |= reference
    result = {"value": value, "source": "Record", "curve": CURVE}
    trial["status"] = {"state": state, "result": result, "startTime": "2026-11-27T08:00:00Z"}
    return trial


def file(manifest: Manifest | None = None) -> StudyFile:
    return study_of(Document("study.yaml", manifest or in_cluster()), Warnings())


def test_a_list_of_kubectls_becomes_trials() -> None:
    items = [ended(1, 0.25), ended(0), ended(2, state="Running")]
    study = trials_from_list(file(), {"kind": "List", "items": items}, "trials.json", Warnings())
    assert [t.index for t in study.trials] == [0, 1, 2]
    assert [t.state for t in study.trials] == [State.SUCCEEDED, State.SUCCEEDED, State.RUNNING]
    assert study.trials[1].value == 0.25
    assert tuple(study.trials[0].curve.values["validation_loss"]) == (0.9, 0.5)


def test_trials_of_other_studies_are_left_out_and_counted() -> None:
    warnings = Warnings()
    items = [ended(0), ended(1, name="other", uid="9"), ended(2, uid="old")]
    study = trials_from_list(file(), {"items": items}, "trials.json", warnings)
    assert [t.index for t in study.trials] == [0]
    assert list(warnings) == ["trials.json: 2 of 3 trials belong to other studies than digits"]
    by_name = file(a_study())
    assert [t.index for t in trials_from_list(by_name, {"items": items}, "t", Warnings()).trials] == [0, 2]


@pytest.mark.parametrize(
    ("change", "said"),
    {
        "another kind": ({"kind": "Pod"}, 'items[0].kind: must be TuningTrial, not "Pod"'),
        "no spec": ({"spec": None}, "items[0]: the trial cannot be read"),
        "no state": ({"status": {"state": "Great"}}, "items[0].state: Input should be 'Pending'"),
        "another space": (
            {"spec": {**ended(0)["spec"], "parameters": "{}"}},
            "items[0]: digits-0a1b2c3d-0: parameters",
        ),
    }.values(),
)
def test_a_malformed_trial_is_named(change: dict[str, Any], said: str) -> None:
    broken = {k: v for k, v in {**ended(0), **change}.items() if v is not None}
    with pytest.raises(InputError) as caught:
        trials_from_list(file(), {"items": [broken]}, "trials.json", Warnings())
    assert str(caught.value).startswith(f"trials.json: {said}")


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_what_kubectl_prints_can_be_analysed(tmp_path: Path, suffix: str) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": [ended(i, rate=0.01 * (i + 1)) for i in range(3)]}
    (tmp_path / "study.yaml").write_text(to_yaml(in_cluster()))
    (tmp_path / f"trials.{suffix}").write_text(json.dumps(listed) if suffix == "json" else to_yaml(listed))
    answer = kubectl_tuning(
        "analyze", "--study", tmp_path / "study.yaml", "--trials", tmp_path / f"trials.{suffix}", "-o", "json"
    )
    assert (answer.code, answer.errors) == (0, ())
    assert answer.json["conclusion"]["state"]


class FakeCluster:
    """An API server with these objects."""

    def __init__(self, studies: list[Manifest], trials: list[Manifest] | None = None) -> None:
        self._studies = {study["metadata"]["name"]: study for study in studies}
        self._trials = trials or []
        self.namespaces: set[str] = set()

    async def get(self, resource: str, namespace: str, name: str) -> Manifest:
        self.namespaces.add(namespace)
        assert resource == "tuningstudies"
        if name not in self._studies:
            raise NotFound(f'tuningstudies.tuning-operator.dev "{name}" not found')
        return self._studies[name]

    async def list_of_study(self, resource: str, namespace: str, study_uid: str) -> tuple[list[Manifest], int]:
        assert resource == "tuningtrials"
        return [t for t in self._trials if t["spec"]["studyRef"]["uid"] == study_uid], 1

    async def close(self) -> None:
        pass


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    def connected(cluster: FakeCluster) -> FakeCluster:
        async def connect() -> FakeCluster:
            return cluster

        monkeypatch.setattr(Cluster, "connect", connect)
        monkeypatch.setattr(door, "list_kube_config_contexts", lambda: ([], {"context": {"namespace": "team"}}))
        return cluster

    return connected


def test_a_report_is_of_the_study_and_its_trials(serve: Any, tmp_path: Path) -> None:
    cluster = serve(FakeCluster([in_cluster()], [ended(i, rate=0.01 * (i + 1)) for i in range(3)]))
    answer = kubectl_tuning("report", "digits", "-n", "ml", "--output", tmp_path / "r.html")
    assert (answer.code, answer.errors) == (0, (f"wrote {tmp_path}/r.html",))
    assert "digits-0a1b2c3d-2" in (tmp_path / "r.html").read_text()
    assert cluster.namespaces == {"ml"}


def test_the_namespace_is_kubeconfigs_where_none_is_given(serve: Any) -> None:
    cluster = serve(FakeCluster([in_cluster()], [ended(0)]))
    answer = kubectl_tuning("report", "digits", "-o", "text")
    assert answer.code == 0
    assert "TuningStudy digits" in answer.out
    assert cluster.namespaces == {"team"}


def test_the_next_study_is_the_one_in_the_status(serve: Any) -> None:
    proposed = a_study("digits-2")
    serve(FakeCluster([in_cluster(status={"nextStudy": {"name": "digits-2", "goal": "", "manifest": proposed}})]))
    answer = kubectl_tuning("next", "digits", "-n", "ml")
    assert answer.code == 0
    assert "name: digits-2" in answer.out


def test_a_next_study_too_large_for_the_status_is_computed_again(serve: Any) -> None:
    status = {"nextStudy": {"name": "digits-2", "goal": ""}}
    rates = [10 ** (-4 + 4 * (i + 0.5) / 16) for i in range(16)]
    trials = [ended(i, value=1 - i / 20, rate=rate) for i, rate in enumerate(rates)]
    serve(FakeCluster([in_cluster(status=status)], trials))
    answer = kubectl_tuning("next", "digits", "-n", "ml")
    assert answer.code == 0
    assert "kind: TuningStudy" in answer.out


def test_where_nothing_is_to_be_done_next_says_so(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(FakeCluster([in_cluster()]))
    nothing = Analysis((), Conclusion(state=ConclusionState.ALLOWED, reason="Done"), None)
    monkeypatch.setattr(door, "analyse", lambda study, earlier: nothing)
    answer = kubectl_tuning("next", "digits", "-n", "ml")
    assert (answer.code, answer.out) == (2, "")
    assert answer.errors[0].startswith("error: no next study is proposed")


def test_earlier_studies_are_read_where_they_are_still_there(serve: Any) -> None:
    study = in_cluster(previousStudies=["before", "gone"], search={"algorithm": "Bayesian"})
    serve(FakeCluster([study, in_cluster("before", "b")], [ended(0), ended(1, name="before", uid="b")]))
    answer = kubectl_tuning("report", "digits", "-n", "ml", "-o", "text")
    assert answer.code == 0
    assert answer.errors == ("warning: the earlier study gone is not there any more",)


def test_what_the_cluster_says_is_told_in_a_line(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(FakeCluster([]))
    answer = kubectl_tuning("report", "digits", "-n", "ml")
    assert (answer.code, answer.errors) == (2, ('error: tuningstudies.tuning-operator.dev "digits" not found',))

    async def refuse() -> None:
        raise Unreachable("GET /apis: connection refused")

    monkeypatch.setattr(Cluster, "connect", refuse)
    assert kubectl_tuning("next", "digits").errors == ("error: GET /apis: connection refused",)


def test_a_missing_kubeconfig_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    answer = kubectl_tuning("report", "digits")
    assert answer.code == 2
    assert answer.errors[0].startswith("error: no cluster: ")
