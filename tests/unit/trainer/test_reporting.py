"""What a trial says of itself: over HTTP to Prometheus, and in the record that its pod leaves behind. No PyTorch."""

import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from tuning_contract.curve import Curve, MetricValues, Point, Row
from tuning_contract.diagnostics import Diagnostics, Evaluation, LogHistogram
from tuning_contract.environment import ContractError, TrialEnvironment, parameters_hash
from tuning_contract.record import FinalRecord, RecordStatus
from tuning_trainer.reporting import RecordFile, Reporter, TrialCollector, serve

TRIAL = TrialEnvironment(
    study="digits",
    study_uid="5f6b0a51",
    trial="digits-0007",
    attempt=2,
    parameters={"learning_rate": 0.1},
    seed=17,
    metric="validation_loss",
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a termination log as the kubelet makes it: there, and empty."""
    path = tmp_path / "termination-log"
    path.touch()
    return path


def reporter_to(log: Path, trial: TrialEnvironment = TRIAL) -> Reporter:
    return Reporter(trial, record_file=RecordFile(str(log)))


def record_in(log: Path) -> FinalRecord:
    return FinalRecord.decode(log.read_bytes())


def samples(text: str, read: Callable[..., object] = parse) -> dict[str, float]:
    """Return the values of one scrape by name."""
    return {sample.name: sample.value for family in read(text) for sample in family.samples}  # type: ignore[attr-defined]


def scrape(port: int, path: str = "/metrics", accept: str = "text/plain") -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request) as response:
        body: bytes = response.read()
    return body.decode()


class TestExporter:
    def test_a_scrape_sees_the_latest_evaluation(self) -> None:
        collector = TrialCollector()
        port = serve(collector, 0)
        assert port is not None
        reporter = Reporter(TRIAL, collector=collector)
        assert samples(scrape(port)) == {"tuning_trial_contract_info": 1}
        reporter.report(20, {"validation_loss": 2.0, "validation_error": 0.5})
        reporter.report(40, {"validation_loss": 1.5, "validation_error": 0.25})
        expected = {
            "tuning_trial_contract_info": 1,
            "tuning_trial_step": 40,
            "tuning_trial_objective": 1.5,
            "tuning_trial_validation_loss": 1.5,
            "tuning_trial_validation_error": 0.25,
        }
        assert samples(scrape(port)) == expected
        assert samples(scrape(port, "/any/other/path")) == expected
        assert samples(scrape(port, accept="application/openmetrics-text"), parse_openmetrics) == expected

    def test_the_contract_has_a_version_and_no_series_has_the_step_as_a_label(self) -> None:
        collector = TrialCollector()
        Reporter(TRIAL, collector=collector).report(20, {"validation_loss": 2.0})
        labels = {sample.name: sample.labels for family in collector.collect() for sample in family.samples}
        assert labels.pop("tuning_trial_contract_info") == {"version": "1"}
        assert set(map(str, labels.values())) == {"{}"}

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_a_diverged_loss_is_exported_as_it_is(self, value: float) -> None:
        collector = TrialCollector()
        registry = CollectorRegistry()
        registry.register(collector)
        Reporter(TRIAL, collector=collector).report(20, {"validation_loss": value})
        assert repr(samples(generate_latest(registry).decode())["tuning_trial_objective"]) == repr(value)

    def test_step_and_values_of_a_scrape_are_of_one_evaluation(self) -> None:
        collector = TrialCollector()
        registry = CollectorRegistry()
        registry.register(collector)
        reporter = Reporter(TRIAL, collector=collector)
        seen: list[set[float]] = []

        def scrape_until_the_end() -> None:
            while not seen or seen[-1] != {3000.0}:
                values = samples(generate_latest(registry).decode())
                del values["tuning_trial_contract_info"]
                seen.append(set(values.values()))

        reporter.report(1, {"validation_loss": 1.0, "a": 1.0, "b": 1.0})
        scrapers = [threading.Thread(target=scrape_until_the_end) for _ in range(2)]
        for thread in scrapers:
            thread.start()
        for step in range(2, 3001):
            reporter.report(step, {"validation_loss": step, "a": step, "b": step})
        for thread in scrapers:
            thread.join()
        assert all(len(values) == 1 for values in seen), "a scrape mixed two evaluations"

    def test_a_port_that_is_taken_costs_the_metrics_and_not_the_run(self, log: Path) -> None:
        said: list[str] = []
        with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as taken:
            trial = replace(TRIAL, metrics_port=taken.getsockname()[1], termination_log=str(log))
            reporter = Reporter.from_env(trial.to_env(), say=said.append)
        reporter.report(20, {"validation_loss": 2.0})
        assert len(said) == 1
        assert said[0].startswith("no metrics on port")
        assert record_in(log).last == Point(20, 2.0)


class TestRecord:
    def test_it_is_there_from_the_start_and_follows_each_evaluation(self, log: Path) -> None:
        reporter = reporter_to(log)
        begun = record_in(log)
        assert (begun.status, begun.best, len(begun.curve)) == (RecordStatus.RUNNING, None, 0)
        for step, loss in ((20, 2.0), (40, 0.5), (60, 1.0)):
            reporter.report(step, {"validation_loss": loss})
        assert record_in(log) == FinalRecord(
            study_uid="5f6b0a51",
            trial="digits-0007",
            attempt=2,
            parameters_hash=parameters_hash('{"learning_rate":0.1}'),
            status=RecordStatus.RUNNING,
            best=Point(40, 0.5),
            last=Point(60, 1.0),
            late_median=1.0,
            curve=Curve.of("validation_loss", [Point(20, 2.0), Point(40, 0.5), Point(60, 1.0)]),
        )

    def test_it_has_the_metrics_that_rules_look_at_and_first_those_that_the_study_needs(self, log: Path) -> None:
        reporter = reporter_to(log, replace(TRIAL, metrics=("latency",)))
        for step, loss, latency in ((20, 2.0, 3.0), (40, 0.5, 7.0), (60, 1.0, float("inf"))):
            more = {"train_loss": loss / 2} if step == 40 else {}
            reporter.report(step, {"validation_loss": loss, "latency": latency, "unheard_of": 1.0, **more})
        record = record_in(log)
        assert record.curve == Curve(
            ("validation_loss", "latency", "train_loss"),
            (Row(20, (2.0, 3.0, None)), Row(40, (0.5, 7.0, 0.25)), Row(60, (1.0, float("inf"), None))),
        )
        assert record.metrics["latency"].best == 7.0
        assert record.metrics["latency"].last == float("inf")

    def test_a_metric_that_the_study_needs_and_nobody_measures_is_told_as_missing(self, log: Path) -> None:
        reporter = reporter_to(log, replace(TRIAL, metrics=("latency",)))
        reporter.report(20, {"validation_loss": 2.0})
        assert record_in(log).metrics == {"latency": MetricValues(None, None, None)}

    def test_diagnostics_stay_in_it_from_when_they_are_told(self, log: Path) -> None:
        reporter = reporter_to(log)
        diagnostics = Diagnostics(LogHistogram.of([0.5, 2.0]), full_evaluation=Evaluation(0.25, 360))
        reporter.diagnose(diagnostics)
        reporter.report(20, {"validation_loss": 2.0})
        reporter.complete()
        assert record_in(log).diagnostics == diagnostics

    def test_diagnostics_that_no_record_could_hold_are_refused_at_once(self, log: Path) -> None:
        reporter = reporter_to(log)
        with pytest.raises(ValueError, match="fullEvaluation: error must"):
            reporter.diagnose(Diagnostics(full_evaluation=Evaluation(float("nan"), 360)))
        reporter.complete()
        assert record_in(log).status is RecordStatus.COMPLETED

    @pytest.mark.parametrize(
        ("end", "status", "reason"),
        [
            (lambda reporter: reporter.complete(), "Completed", ""),
            (lambda reporter: reporter.infeasible("NonFiniteObjective", "m"), "Infeasible", "NonFiniteObjective"),
            (lambda reporter: reporter.interrupted("m"), "Interrupted", "Interrupted"),
            (lambda reporter: reporter.failed("Crashed", "m"), "Running", "Crashed"),
        ],
    )
    def test_endings(self, log: Path, end: Callable[[Reporter], None], status: str, reason: str) -> None:
        reporter = reporter_to(log)
        reporter.report(20, {"validation_loss": 2.0})
        end(reporter)
        record = record_in(log)
        assert (record.status, record.reason, record.last) == (status, reason, Point(20, 2.0))

    def test_maximised_objectives_and_values_that_are_not_finite(self, log: Path) -> None:
        reporter = reporter_to(log, replace(TRIAL, metric="accuracy", direction="Maximize"))
        for step, accuracy in enumerate((0.5, 0.75, float("inf"), 0.25, float("nan"))):
            reporter.report(step, {"accuracy": accuracy})
        assert reporter.best == Point(1, 0.75)
        assert record_in(log).best == Point(1, 0.75)
        assert repr(record_in(log).last) == "Point(step=4, value=nan)"

    def test_a_resumed_attempt_tells_of_the_whole_trial_and_repeats_no_step(self, log: Path) -> None:
        first = reporter_to(log)
        for step, loss in ((20, 2.0), (40, 0.5)):
            first.report(step, {"validation_loss": loss, "train_loss": loss + 1})
        state = first.state()
        second = reporter_to(log, replace(TRIAL, attempt=3))
        second.restore(state, resumed_from=45)
        second.report(60, {"validation_loss": 1.0})
        record = record_in(log)
        assert (record.attempt, record.resumed_from, record.best) == (3, 45, Point(40, 0.5))
        assert record.curve.series("train_loss") == (3.0, 1.5, None)
        assert [point.step for point in record.curve.points] == [20, 40, 60]
        with pytest.raises(ValueError, match="ascend"):
            second.report(60, {"validation_loss": 1.0})

    def test_who_listens_hears_each_record_whole_with_or_without_a_file(self, log: Path) -> None:
        heard: list[FinalRecord] = []
        for file in (None, RecordFile(str(log))):
            reporter = Reporter(TRIAL, record_file=file, listener=heard.append)
            for step in range(1, 251):
                reporter.report(step, {"validation_loss": 1 / 3})
            reporter.complete()
        assert [record.status for record in heard].count(RecordStatus.COMPLETED) == 2
        assert len(heard) == 2 * 252
        assert len(heard[-1].curve) == 250 > len(record_in(log).curve)

    def test_a_long_run_fits(self, log: Path) -> None:
        reporter = reporter_to(log)
        for step in range(3000):
            reporter.report(step, {"validation_loss": 1 / (step + 3)})
        record = record_in(log)
        assert log.stat().st_size <= 4096
        assert (record.curve.rows[0].step, record.curve.rows[-1].step, record.best) == (0, 2999, Point(2999, 1 / 3002))


class TestRefusals:
    @pytest.mark.parametrize("name", ["step", "objective", "contract_info", "a-b", "a b", "", "größe"])
    def test_names_that_cannot_be_series(self, name: str) -> None:
        with pytest.raises(ValueError, match="cannot be a metric"):
            Reporter(TRIAL).report(1, {"validation_loss": 1.0, name: 1.0})

    def test_a_report_without_the_objective(self) -> None:
        with pytest.raises(ContractError, match="'validation_loss' is not among loss, error"):
            Reporter(TRIAL).report(1, {"loss": 1.0, "error": 1.0})

    def test_a_container_that_the_operator_did_not_start(self) -> None:
        with pytest.raises(ContractError, match="TUNING_CONTRACT_VERSION"):
            Reporter.from_env({})


class TestRecordFile:
    def test_each_record_is_one_write_that_leaves_nothing_of_the_record_before(
        self, log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Look at the file after each of the two system calls: these are all the states that a kill can leave."""
        states: list[bytes] = []

        def watched(call: Callable[..., int]) -> Callable[..., int]:
            def wrapper(*arguments: object) -> int:
                result = call(*arguments)
                states.append(log.read_bytes())
                return result

            return wrapper

        monkeypatch.setattr(os, "pwrite", watched(os.pwrite))
        monkeypatch.setattr(os, "ftruncate", watched(os.ftruncate))  # type: ignore[arg-type]
        file = RecordFile(str(log))
        records = [b"a long record", b"short", b"of middling size"]
        for record in records:
            file.write(record)
        assert [state.rstrip(b" ") for state in states] == [record for record in records for _ in range(2)]
        assert log.read_bytes() == records[-1]

    def test_whenever_the_process_is_killed_a_whole_record_is_left(self, log: Path) -> None:
        program = """if True:
            import sys
            from tuning_contract.environment import TrialEnvironment
            from tuning_trainer.reporting import RecordFile, Reporter
            reporter = Reporter(TrialEnvironment("s", "u", "t", 0, {}, 0, "loss"), record_file=RecordFile(sys.argv[1]))
            for step in range(10**6):
                reporter.report(step, {"loss": (1 / 3) ** (step % 7)})
                print(step, flush=True)
        """
        for lines in (1, 10, 50, 200):
            command = [sys.executable, "-c", program, str(log)]
            environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
            with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                for _ in range(lines):
                    process.stdout.readline()
                process.kill()
            last = record_in(log).last
            assert last is not None
            assert last.step >= lines - 1

    @pytest.mark.parametrize("path", ["/nonexistent/termination-log", "/", "/dev/full"])
    def test_a_log_that_cannot_be_written_is_told_once_and_costs_nothing_else(self, path: str) -> None:
        said: list[str] = []
        reporter = Reporter(TRIAL, record_file=RecordFile(path, said.append))
        reporter.report(20, {"validation_loss": 2.0})
        reporter.complete()
        assert len(said) == 1
        assert "rests on Prometheus alone" in said[0]
        assert reporter.best == Point(20, 2.0)


class TestLingering:
    class Event(threading.Event):
        """Waits in no time, and remembers how long it should have been."""

        def __init__(self) -> None:
            super().__init__()
            self.waited: list[float | None] = []

        def wait(self, timeout: float | None = None) -> bool:
            self.waited.append(timeout)
            return False

    @pytest.mark.parametrize(("asked", "waited"), [(0.0, 0.0), (30.0, 30.0), (1e9, 300.0), (-5.0, 0.0)])
    def test_it_is_bounded_and_off_by_default(self, asked: float, waited: float) -> None:
        stop = self.Event()
        Reporter(TRIAL, collector=TrialCollector(), linger_seconds=asked, stop=stop).complete()
        assert stop.waited == [waited]

    def test_nobody_waits_for_a_scrape_where_there_is_no_server_or_no_result(self) -> None:
        stop = self.Event()
        Reporter(TRIAL, linger_seconds=30, stop=stop).complete()
        Reporter(TRIAL, collector=TrialCollector(), linger_seconds=30, stop=stop).interrupted()
        assert stop.waited == []

    def test_a_request_to_stop_ends_it(self) -> None:
        stop = threading.Event()
        stop.set()
        Reporter(TRIAL, collector=TrialCollector(), linger_seconds=300, stop=stop).complete()
