"""A study from `kubectl apply` to its result: what a user sees, and may rely on."""

import json

from tests.cluster.operator.conftest import Lab, a_small_study
from tests.support.builders import a_choice, a_range
from tests.support.kubelet import Attempt, Container, Runs, completes, loss


def test_a_study_runs_all_its_trials_and_names_the_best(lab: Lab) -> None:
    lab.create(a_small_study(budget={"maxTrials": 5, "parallelTrials": 2}))
    assert "condition met" in lab.kubectl("wait", "--for=condition=Succeeded", "study/digits", "--timeout=90s")
    status, trials = lab.status(), lab.trials()
    assert list(trials) == [0, 1, 2, 3, 4]
    values = {t["metadata"]["name"]: loss(json.loads(t["spec"]["parameters"])) for t in trials.values()}
    ranking = sorted(values, key=lambda name: values[name])
    assert status["trials"] == {
        "total": 5, "pending": 0, "running": 0, "suspended": 0, "paused": 0, "succeeded": 5, "infeasible": 0,
        "failed": 0, "stopped": 0, "stoppedEarly": 0, "infrastructureRetries": 0, "violating": 0,
        "retrains": 0, "probes": 0,
    }  # fmt: skip
    assert status["progress"] == "5/5"
    assert [entry["trial"] for entry in status["top"]] == ranking
    assert status["best"] == status["top"][0]
    assert status["best"]["value"] == values[ranking[0]]
    assert status["observedGeneration"] == 1
    assert all(c["observedGeneration"] == 1 for c in status["conditions"])
    answers = {c["type"]: c["status"] for c in status["conditions"]}
    assert answers["Accepted"] == answers["Succeeded"] == "True"
    assert answers["Progressing"] == answers["Failed"] == answers["Suspended"] == "False"
    described = lab.kubectl("describe", "study", "digits")
    assert "StudyAccepted" in described
    assert "StudySucceeded" in described


def test_a_container_gets_exactly_the_parameters_that_its_trial_states(lab: Lab) -> None:
    space = [
        a_range("learning_rate", low=1e-4, high=1.0, scale="Log"),
        a_range("layers", type="Integer", low=1, high=4),
        a_choice("batch_size", values=["32", "64"], valueType="Integer", role="Nuisance"),
    ]
    seen = {}

    def remember(attempt: Attempt) -> Container:
        seen[attempt.environment.trial] = attempt.environment
        return completes(attempt)

    lab.script(remember)
    lab.create(a_small_study(hyperparameters=space))
    lab.await_state("Succeeded")
    for trial in lab.trials().values():
        got = seen[trial["metadata"]["name"]]
        assert got.parameters_json == trial["spec"]["parameters"]
        assert type(got.parameters["learning_rate"]) is float
        assert type(got.parameters["layers"]) is int
        assert got.parameters["batch_size"] in (32, 64)
        assert got.seed == trial["spec"]["seed"]


def test_never_more_trials_run_than_asked_for_and_scale_changes_that(lab: Lab) -> None:
    lab.script(lambda _: Runs())
    lab.create(a_small_study(budget={"maxTrials": 20, "parallelTrials": 2}))
    lab.until("two run", lambda: len(lab.kubelet.live(lab.namespace)) == 2)
    assert "scaled" in lab.kubectl("scale", "study/digits", "--replicas=5")
    lab.until("five run", lambda: lab.status().get("trials", {}).get("running") == 5)
    assert len(lab.jobs()) == 5
    assert (
        json.loads(lab.kubectl("get", "study/digits", "--subresource=scale", "--output=json"))["status"]["replicas"]
        == 5
    )
    lab.kubectl("scale", "study/digits", "--replicas=1")
    generation = lab.study()["metadata"]["generation"]
    lab.until("the operator has seen it", lambda: lab.status()["observedGeneration"] == generation)
    for attempt in lab.kubelet.live(lab.namespace)[:4]:
        lab.kubelet.end(attempt, completes(attempt))
    lab.until("four are done", lambda: lab.status()["trials"]["succeeded"] == 4)
    assert len(lab.trials()) == 5


def test_suspend_interrupts_trials_and_resume_goes_on_with_the_same_ones(lab: Lab) -> None:
    lab.script(lambda _: Runs())
    lab.create(a_small_study())
    lab.until("two run", lambda: lab.status().get("trials", {}).get("running") == 2)
    before = lab.trials()
    lab.change("digits", suspend=True)
    lab.await_state("Suspended")
    lab.until("no pod is left", lambda: not lab.pods() and not lab.jobs())
    counts = lab.until("both are suspended", lambda: c if (c := lab.status()["trials"])["suspended"] == 2 else None)
    assert counts["running"] == counts["failed"] == counts["infrastructureRetries"] == 0
    assert lab.condition("Suspended")["status"] == "True"
    lab.script(completes)
    lab.change("digits", suspend=False)
    status = lab.await_state("Succeeded")
    after = lab.trials()
    assert {i: t["spec"] for i, t in before.items()} == {i: after[i]["spec"] for i in before}
    assert [after[i]["status"]["attempt"] for i in after] == [1, 1, 0]
    assert status["trials"]["infrastructureRetries"] == 0


def test_raising_the_budget_continues_a_finished_study(lab: Lab) -> None:
    lab.create(a_small_study())
    lab.await_state("Succeeded")
    first = lab.trials()
    lab.change("digits", budget={"maxTrials": 5})
    lab.until("it has five results", lambda: lab.status()["progress"] == "5/5")
    status = lab.await_state("Succeeded")
    assert status["observedGeneration"] == 2
    assert {i: t["spec"] for i, t in lab.trials().items() if i in first} == {i: t["spec"] for i, t in first.items()}
    refused = lab.kubectl("patch", "study/digits", "--type=merge", '--patch={"spec":{"budget":{"maxTrials":4}}}')
    assert "maxTrials cannot be lowered" in refused or "started" in refused


def test_a_typo_in_the_template_is_refused_in_the_api_servers_words(lab: Lab) -> None:
    container = {"name": "trainer", "image": "localhost/trainer", "resource": {"limits": {"cpu": "1"}}}
    lab.create(a_small_study(trial={"template": {"spec": {"containers": [container]}}}))
    lab.await_state("Rejected")
    accepted = lab.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "TemplateInvalid")
    assert 'unknown field "spec.template.spec.containers[0].resource"' in accepted["message"]
    assert lab.trials() == {}
    assert "StudyRejected" in lab.kubectl("describe", "study", "digits")


def test_what_the_playbook_would_not_run_is_told_and_refused_where_the_study_asks_for_it(lab: Lab) -> None:
    lab.create(a_small_study())
    lab.create(a_small_study("strict", lint="Enforce"))
    lab.await_state("Rejected", "strict")
    refused = lab.condition("Accepted", "strict")
    assert (refused["status"], refused["reason"]) == ("False", "PlaybookLint")
    assert "MissingGoal" in refused["message"]
    assert lab.status("strict")["trials"]["total"] == 0
    lab.await_state("Succeeded")
    accepted = lab.condition("Accepted")
    assert accepted["status"] == "True"
    assert "would draw no conclusion: MissingGoal" in accepted["message"]
    lab.change("strict", goal={"question": "Which learning rate is best?"})
    lab.await_state("Succeeded", "strict")
    assert "Playbook" not in lab.condition("Accepted", "strict")["message"]


def test_deleting_a_study_leaves_nothing(lab: Lab) -> None:
    lab.script(lambda _: Runs())
    for cascade in ("foreground", "background"):
        lab.create(a_small_study(cascade))
        lab.until("two run", lambda: len(lab.kubelet.live(lab.namespace)) == 2)
        assert "deleted" in lab.kubectl("delete", "study", cascade, f"--cascade={cascade}", "--timeout=90s")
        lab.until("nothing is left", lambda: not lab.trials() and not lab.jobs() and not lab.pods())


def test_a_study_created_again_under_its_old_name_never_meets_the_old_one(lab: Lab) -> None:
    lab.script(lambda _: Runs())
    uids = set()
    for _ in range(3):
        made = lab.create(a_small_study())
        uids.add(made["metadata"]["uid"])
        lab.until("it started", lambda: lab.status().get("state") == "Running")
        lab.api.delete("tuningstudies", lab.namespace, "digits", propagationPolicy="Background")
    lab.script(completes)
    new = lab.create(a_small_study())["metadata"]["uid"]
    status = lab.await_state("Succeeded")
    assert new not in uids
    assert status["trials"]["total"] == status["trials"]["succeeded"] == 3
    assert all(t["status"]["attempt"] == 0 for t in lab.trials().values() if t["spec"]["studyRef"]["uid"] == new)
    lab.until(
        "of the old ones nothing is left",
        lambda: {t["spec"]["studyRef"]["uid"] for t in lab.trials().values()} == {new},
    )


def test_kubectl_get_reads_well(lab: Lab) -> None:
    lab.create(a_small_study())
    lab.await_state("Succeeded")
    lines = lab.kubectl("get", "studies").splitlines()
    assert lines[0].split() == ["NAME", "STATE", "PROGRESS", "RUNNING", "FAILED", "BEST", "BEST-TRIAL", "AGE"]
    best = lab.status()["best"]
    assert lines[1].split()[:7] == ["digits", "Succeeded", "3/3", "0", "0", str(best["value"]), best["trial"]]
    header, *rows = lab.kubectl("get", "trials").splitlines()
    assert header.split() == ["NAME", "STUDY", "STATE", "VALUE", "STEP", "ATTEMPT", "AGE"]
    assert [row.split()[1:3] for row in rows] == [["digits", "Succeeded"]] * 3


def test_nothing_of_kopf_is_written_on_any_object(lab: Lab) -> None:
    lab.create(a_small_study())
    lab.await_state("Succeeded")
    found = [lab.study(), *lab.trials().values(), *lab.jobs(), *lab.pods()]
    assert len(found) == 10
    for thing in found:
        assert "kopf" not in json.dumps([thing["metadata"].get("annotations"), thing["metadata"].get("finalizers")])
    assert not lab.study()["metadata"].get("finalizers")
