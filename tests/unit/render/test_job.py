"""The Job of an attempt: what the template says wins, what it leaves open is filled in."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.views import UID, a_study, a_trial
from tuning_contract.environment import TrialEnvironment
from tuning_contract.pack import PackEnvironment, pack_hash
from tuning_operator.api import names
from tuning_operator.clients.views import members_of
from tuning_operator.render.job import GRACE_SECONDS, container_name, environment, job
from tuning_operator.study.snapshot import StudyView, TrialView

Manifest = dict[str, Any]
IMAGE = "localhost/default-trainer"


def with_pod(container: Manifest | None = None, **pod_spec: Any) -> StudyView:
    """Return a study whose template has one container, with these fields, in a pod with those."""
    one = {"name": "trainer", "image": "localhost/trainer", **(container or {})}
    return a_study(trial={"template": {"spec": {"containers": [one], **pod_spec}}})


def at_attempt(attempt: int, index: int = 0) -> TrialView:
    """Return a trial whose next Job is that of this attempt."""
    trial = a_trial(index)
    return replace(trial, status=trial.status.model_copy(update={"attempt": attempt}))


def pod_of(study: StudyView, attempt: int = 0) -> Manifest:
    """Return the rendered pod's spec."""
    spec: Manifest = job(study, [at_attempt(attempt)], IMAGE)["spec"]["template"]["spec"]
    return spec


def trainer_of(study: StudyView, attempt: int = 0) -> Manifest:
    """Return the rendered container that trains."""
    name = container_name(study.spec)
    return next(c for c in pod_of(study, attempt)["containers"] if c["name"] == name)


def test_the_whole_job_of_the_smallest_study() -> None:
    rendered = job(a_study(), [at_attempt(2, 3)], IMAGE)
    env = rendered["spec"]["template"]["spec"]["containers"][0].pop("env")
    labels = {
        "tuning-operator.dev/study": "digits",
        "tuning-operator.dev/study-uid": UID,
        "tuning-operator.dev/trial": names.trial_name("digits", UID, 3),
        "tuning-operator.dev/attempt": "2",
        "app.kubernetes.io/managed-by": "tuning-operator",
    }
    assert rendered == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.job_name(a_trial(3).name, 2),
            "namespace": "default",
            "labels": labels,
            "annotations": {"tuning-operator.dev/study-name": "digits"},
            "ownerReferences": [
                {
                    "apiVersion": "tuning-operator.dev/v1alpha1",
                    "kind": "TuningTrial",
                    "name": names.trial_name("digits", UID, 3),
                    "uid": "trial-3",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
            },
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {
                        "tuning-operator.dev/study-name": "digits",
                        "tuning-operator.dev/container": "trainer",
                        "tuning-operator.dev/metrics-path": "/metrics",
                    },
                },
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": GRACE_SECONDS,
                    "automountServiceAccountToken": False,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65532,
                        "fsGroup": 65532,
                        "fsGroupChangePolicy": "OnRootMismatch",
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "volumes": [{"name": "tuning-tmp", "emptyDir": {}}],
                    "containers": [
                        {
                            "name": "trainer",
                            "image": "localhost/trainer",
                            "terminationMessagePolicy": "FallbackToLogsOnError",
                            "ports": [{"name": "tuning-metrics", "containerPort": 8000, "protocol": "TCP"}],
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                                "readOnlyRootFilesystem": True,
                            },
                            "volumeMounts": [{"name": "tuning-tmp", "mountPath": "/tmp"}],
                        }
                    ],
                },
            },
        },
    }
    told = TrialEnvironment.from_env({entry["name"]: entry["value"] for entry in env})
    assert (told.trial, told.attempt, told.parameters) == (
        names.trial_name("digits", UID, 3),
        2,
        {"learning_rate": 0.4},
    )


def test_rendering_changes_nothing_in_the_study() -> None:
    study = with_pod({"env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 8000}]}, volumes=[])
    before = study.spec.model_dump_json()
    first, second = job(study, [a_trial()], IMAGE), job(study, [a_trial()], IMAGE)
    assert first == second
    assert study.spec.model_dump_json() == before


WINS: dict[str, tuple[Manifest, Manifest, str, object]] = {
    "a grace period": ({"terminationGracePeriodSeconds": 5}, {}, "terminationGracePeriodSeconds", 5),
    "a token": ({"automountServiceAccountToken": True}, {}, "automountServiceAccountToken", True),
    "a user": (
        {"securityContext": {"runAsUser": 1000}},
        {},
        "securityContext",
        {
            "runAsUser": 1000,
            "runAsNonRoot": True,
            "fsGroup": 65532,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    ),
    "root": (
        {"securityContext": {"runAsNonRoot": False, "fsGroup": 0}},
        {},
        "securityContext",
        {
            "runAsNonRoot": False,
            "fsGroup": 0,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    ),
}


@pytest.mark.parametrize(("pod", "container", "field", "expected"), WINS.values(), ids=WINS)
def test_what_the_template_sets_wins(pod: Manifest, container: Manifest, field: str, expected: object) -> None:
    assert pod_of(with_pod(container, **pod))[field] == expected


def test_a_restart_policy_of_the_template_does_not_win() -> None:
    assert pod_of(with_pod(restartPolicy="OnFailure"))["restartPolicy"] == "Never"


CONTAINERS = {
    "a writable root": (
        {"securityContext": {"readOnlyRootFilesystem": False}},
        {"readOnlyRootFilesystem": False, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        [],
    ),
    "capabilities": (
        {"securityContext": {"capabilities": {"add": ["SYS_NICE"], "drop": []}}},
        {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["SYS_NICE"], "drop": []},
        },
        [{"name": "tuning-tmp", "mountPath": "/tmp"}],
    ),
    "a /tmp of its own": (
        {"volumeMounts": [{"name": "fast", "mountPath": "/tmp/"}]},
        {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        [{"name": "fast", "mountPath": "/tmp/"}],
    ),
}


@pytest.mark.parametrize(("given", "context", "mounts"), CONTAINERS.values(), ids=CONTAINERS)
def test_a_container_keeps_its_security_and_its_mounts(given: Manifest, context: Manifest, mounts: object) -> None:
    trainer = trainer_of(with_pod(given))
    assert trainer["securityContext"] == context
    assert trainer["volumeMounts"] == mounts


def test_every_container_is_restricted_and_the_scratch_volume_is_there_once() -> None:
    others = [{"name": "sidecar", "image": "x"}]
    pod = pod_of(
        a_study(
            trial={
                "container": "trainer",
                "template": {
                    "spec": {
                        "initContainers": [{"name": "fetch", "image": "x", "restartPolicy": "Always"}],
                        "containers": [*others, {"name": "trainer", "image": "x"}],
                    }
                },
            }
        )
    )
    everyone = [*pod["initContainers"], *pod["containers"]]
    assert all(c["securityContext"]["capabilities"] == {"drop": ["ALL"]} for c in everyone)
    assert [v["name"] for v in pod["volumes"]] == ["tuning-tmp"]
    told = {c["name"]: [e["name"] for e in c["env"] if e["name"].startswith("TUNING_")] for c in everyone}
    assert told["trainer"]
    assert not told["sidecar"]
    assert not told["fetch"]


def test_the_contracts_variables_come_first_and_cannot_be_overridden() -> None:
    given = [{"name": "TUNING_SEED", "value": "0"}, {"name": "ARGS", "value": "$(TUNING_PARAMETER_LEARNING_RATE)"}]
    env = trainer_of(with_pod({"env": given}))["env"]
    assert [e["name"] for e in env].count("TUNING_SEED") == 1
    assert next(e["value"] for e in env if e["name"] == "TUNING_SEED") == "7"
    assert [e["name"] for e in env][-2:] == ["ARGS", "HOME"]
    assert all(e["name"].startswith("TUNING_") for e in env[:-2])


def test_a_home_of_the_templates_stays() -> None:
    env = trainer_of(with_pod({"env": [{"name": "HOME", "value": "/home/me"}]}))["env"]
    assert [e["value"] for e in env if e["name"] == "HOME"] == ["/home/me"]


PORTS = {
    "undeclared": ([], [("tuning-metrics", 8000)]),
    "declared without a name": ([{"containerPort": 8000}], [("tuning-metrics", 8000)]),
    "declared under another name": ([{"containerPort": 8000, "name": "web"}], [("tuning-metrics", 8000)]),
    "beside another": ([{"containerPort": 22, "name": "ssh"}], [("ssh", 22), ("tuning-metrics", 8000)]),
    "the same number of another protocol": (
        [{"containerPort": 8000, "protocol": "UDP", "name": "u"}],
        [("u", 8000), ("tuning-metrics", 8000)],
    ),
}


@pytest.mark.parametrize(("given", "expected"), PORTS.values(), ids=PORTS)
def test_the_metrics_port_has_the_name_that_prometheus_selects(given: object, expected: object) -> None:
    ports = trainer_of(with_pod({"ports": given}))["ports"]
    assert [(p["name"], p["containerPort"]) for p in ports] == expected


def test_checkpoints_are_mounted_and_each_trial_has_a_directory_that_its_attempts_share() -> None:
    study = a_study(trial={"checkpoint": {"claimName": "claim", "path": "/keep"}})
    pods = [pod_of(study, attempt) for attempt in (0, 1)]
    for pod in pods:
        assert {"name": "tuning-checkpoints", "persistentVolumeClaim": {"claimName": "claim"}} in pod["volumes"]
        assert {"name": "tuning-checkpoints", "mountPath": "/keep"} in pod["containers"][0]["volumeMounts"]
    places = {e["value"] for p in pods for e in p["containers"][0]["env"] if e["name"] == "TUNING_CHECKPOINT_DIR"}
    assert places == {f"/keep/{UID}/{names.trial_name('digits', UID, 0)}"}


def test_the_default_image_is_for_containers_without_one() -> None:
    study = a_study(trial={"template": {"spec": {"containers": [{"name": "trainer"}]}}})
    assert trainer_of(study)["image"] == IMAGE
    assert trainer_of(with_pod())["image"] == "localhost/trainer"


def test_where_the_record_goes_is_what_the_container_is_told() -> None:
    trainer = trainer_of(with_pod({"terminationMessagePath": "/run/record", "terminationMessagePolicy": "File"}))
    assert trainer["terminationMessagePolicy"] == "File"
    assert {"name": "TUNING_TERMINATION_LOG", "value": "/run/record"} in trainer["env"]


def test_labels_and_annotations_of_the_template_stay_beside_ours() -> None:
    metadata = {"labels": {"team": "a", names.LABEL_TRIAL: "forged"}, "annotations": {"note": "b"}}
    study = a_study(trial={"template": {"metadata": metadata}})
    rendered = job(study, [a_trial()], IMAGE)["spec"]["template"]["metadata"]
    assert rendered["labels"]["team"] == "a"
    assert rendered["labels"][names.LABEL_TRIAL] == names.trial_name("digits", UID, 0)
    assert rendered["annotations"]["note"] == "b"


@pytest.mark.parametrize("name", ["a" * 253, "a." * 126 + "a", "digits"], ids=["long", "dotted", "short"])
def test_names_and_labels_are_never_longer_than_kubernetes_takes(name: str) -> None:
    rendered = job(a_study(view={"name": name}), [at_attempt(128, 9999)], IMAGE)
    assert len(rendered["metadata"]["name"]) <= 63
    assert "." not in rendered["metadata"]["name"]
    assert all(len(value) <= 63 for value in rendered["metadata"]["labels"].values())
    assert rendered["metadata"]["annotations"]["tuning-operator.dev/study-name"] == name


def test_null_is_as_good_as_absent() -> None:
    fields = dict.fromkeys(("env", "ports", "volumeMounts", "securityContext"))
    nulls = with_pod(fields, volumes=None, securityContext=None, initContainers=None)
    assert pod_of(nulls) == pod_of(with_pod())


def test_the_container_is_told_which_further_metrics_the_study_needs() -> None:
    constraints = [{"metric": "latency", "max": 10.0}, {"metric": "size", "max": 1.0, "at": "Last"}]
    study = a_study(objective={"constraints": constraints}, secondObjective={"metric": "latency"})
    assert environment(study, a_trial(), "/dev/termination-log").metrics == ("latency", "size")
    assert environment(a_study(), a_trial(), "/dev/termination-log").metrics == ()


def test_a_pack_is_one_job_that_names_its_trials_and_belongs_to_them() -> None:
    trials = [at_attempt(0, 1), at_attempt(3, 2)]
    checkpoint = {"claimName": "checkpoints", "path": "/c"}
    study = a_study(trial={"checkpoint": checkpoint, "template": {"spec": {"containers": [{"name": "trainer"}]}}})
    rendered = job(study, trials, IMAGE)
    template = rendered["spec"]["template"]
    env = {e["name"]: e["value"] for e in template["spec"]["containers"][0]["env"]}
    pack = PackEnvironment.from_env(env)
    assert [(m.trial, m.attempt) for m in pack.members] == [(trials[0].name, 0), (trials[1].name, 3)]
    assert pack.members[1].checkpoint_dir == f"/c/{UID}/{trials[1].name}"
    assert "TUNING_TRIAL" not in env
    for metadata in (rendered["metadata"], template["metadata"]):
        assert metadata["labels"][names.LABEL_PACK] == pack_hash(env["TUNING_PACK"])
        assert metadata["labels"][names.LABEL_TRIAL] == trials[0].name
        assert members_of(metadata) == tuple((t.name, t.status.attempt, t.uid) for t in trials)
    owners = rendered["metadata"]["ownerReferences"]
    assert [(owner["name"], owner["controller"]) for owner in owners] == [
        (trials[0].name, True),
        (trials[1].name, False),
    ]
    assert rendered["metadata"]["name"].startswith(f"{trials[0].name}-pack-")
    again = [replace(trial, uid=f"another-{n}") for n, trial in enumerate(trials)]
    assert job(study, again, IMAGE)["metadata"]["name"] != rendered["metadata"]["name"]


def test_no_template_can_say_what_a_pod_trains() -> None:
    forged = {names.LABEL_PACK: "3f2a", "team": "a"}
    metadata = {"labels": forged, "annotations": {names.ANNOTATION_MEMBERS: '[["another",0]]', "note": "b"}}
    study = a_study(trial={"template": {"metadata": metadata}})
    rendered = job(study, [a_trial()], IMAGE)["spec"]["template"]["metadata"]
    assert rendered["labels"]["team"] == "a"
    assert members_of(rendered) == ()
    assert names.ANNOTATION_MEMBERS not in rendered["annotations"]


def test_a_parameters_text_reaches_the_container_as_it_is() -> None:
    trial = a_trial()
    text = '{"name":"$(TUNING_STUDY) costs $5"}'
    trial = replace(trial, spec=trial.spec.model_copy(update={"parameters": text}))
    env = job(a_study(), [trial], IMAGE)["spec"]["template"]["spec"]["containers"][0]["env"]
    (told,) = (each["value"] for each in env if each["name"] == "TUNING_PARAMETERS")
    # Kubernetes takes a doubled sign for one, and expands nothing after it.
    assert told == text.replace("$", "$$")
