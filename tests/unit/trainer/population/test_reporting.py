"""Each member has a voice of its own, and the pack's record repeats what all of them say. No PyTorch."""

import dataclasses
from pathlib import Path

from tuning_contract.curve import Point
from tuning_contract.environment import TrialEnvironment
from tuning_contract.pack import PackEnvironment, pack_hash
from tuning_contract.pack_record import MemberResult, PackRecord
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_trainer.population.reporting import PackReport, reporters_of
from tuning_trainer.reporting import RecordFile

FIRST = TrialEnvironment("digits", "5f6b0a51", "digits-0", 0, {"learning_rate": 0.1}, 1, "validation_loss")
PACK = PackEnvironment((FIRST, dataclasses.replace(FIRST, trial="digits-1", attempt=3, seed=2)))


def test_scrapes_see_every_member_by_its_trial_and_attempt() -> None:
    reporters, collector = reporters_of(PACK, PackReport(PACK))
    reporters["digits-0"].report(10, {"validation_loss": 0.5})
    reporters["digits-1"].report(20, {"validation_loss": 0.25})
    found = {
        metric.name: {(s.labels["trial"], s.labels["attempt"]): s.value for s in metric.samples}
        for metric in collector.collect()
    }
    assert found["tuning_trial_objective"] == {("digits-0", "0"): 0.5, ("digits-1", "3"): 0.25}
    assert found["tuning_trial_step"] == {("digits-0", "0"): 10.0, ("digits-1", "3"): 20.0}
    assert len(found["tuning_trial_contract_info"]) == 2


def test_the_record_is_there_from_the_start_and_names_the_pack_by_its_hash(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    PackReport(PACK, RecordFile(str(tmp_path / "log")))
    record = PackRecord.decode((tmp_path / "log").read_bytes())
    assert (record.study_uid, record.pack_hash) == ("5f6b0a51", pack_hash(PACK.text))
    assert record.results == (MemberResult(RecordStatus.RUNNING),) * 2


def test_a_result_is_that_of_the_trial_s_own_record(tmp_path: Path) -> None:
    pack = PackEnvironment(tuple(dataclasses.replace(m, metrics=("validation_error",)) for m in PACK.members))
    (tmp_path / "log").touch()
    report = PackReport(pack, RecordFile(str(tmp_path / "log")))
    reporters, _ = reporters_of(pack, report, tmp_path / "records")
    for step, loss in ((10, 0.5), (20, 0.25), (30, 0.75)):
        reporters["digits-1"].report(step, {"validation_loss": loss, "validation_error": loss / 2})
    reporters["digits-1"].infeasible("NonFiniteObjective", "at step 30")
    report.write()
    own = FinalRecord.decode((tmp_path / "records" / "digits-1").read_bytes())
    told = PackRecord.decode((tmp_path / "log").read_bytes()).results[1]
    assert told == MemberResult.of(own)
    assert (told.best, told.last, told.metrics["validation_error"].best) == (Point(20, 0.25), Point(30, 0.75), 0.125)


def test_a_member_has_ended_when_it_said_so_and_not_when_something_failed() -> None:
    report = PackReport(PACK)
    reporters, _ = reporters_of(PACK, report)
    reporters["digits-0"].complete()
    reporters["digits-1"].failed("OutOfMemory", "in a pack of 2: out of memory")
    assert [report.has_ended(trial) for trial in reporters] == [True, False]
    assert report.results["digits-1"].reason == "OutOfMemory"
