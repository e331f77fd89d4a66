"""A checkpoint is whole, or it is not there."""

import errno
import os
import pickle
from pathlib import Path

import pytest

from tests.unit.trainer.needs_torch import torch
from tuning_trainer.checkpoint import BEST, EVALUATED, LAST, CheckpointStore

CONTENTS = {"step": 20, "weights": torch.arange(3.0)}


def a_store(directory: Path, said: list[str], identity: str = "parameters/seed") -> CheckpointStore:
    return CheckpointStore(directory, identity, said.append)


def test_there_and_back(tmp_path: Path) -> None:
    said: list[str] = []
    a_store(tmp_path / "made" / "if need be", said).save(LAST, CONTENTS)
    back = a_store(tmp_path / "made" / "if need be", said).load()
    assert back is not None
    assert back["step"] == 20
    assert torch.equal(back["weights"], CONTENTS["weights"])
    assert said == []


def test_an_empty_directory_is_a_start_from_step_0(tmp_path: Path) -> None:
    said: list[str] = []
    assert a_store(tmp_path, said).load() is None
    assert said == []


def with_evaluated(directory: Path, *steps: int) -> CheckpointStore:
    """Return a store that has the last checkpoint and those of some evaluations."""
    store = a_store(directory, [])
    for name in (LAST, *(EVALUATED.format(step=step) for step in steps)):
        store.save(name, {"step": steps[-1] if name == LAST else int(name[5:-3])})
    return store


def best_of(store: CheckpointStore) -> int:
    contents = store.load(BEST)
    assert contents is not None
    return int(contents["step"])


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


class TestTheBest:
    def test_one_of_the_evaluated_is_the_best_by_another_name(self, tmp_path: Path) -> None:
        store = with_evaluated(tmp_path, 20, 40)
        for step in (20, 20, 40):
            store.name_also(BEST, step)
            assert best_of(store) == step
        assert names_in(tmp_path) == [BEST, LAST, "step-20.pt", "step-40.pt"]
        assert (tmp_path / BEST).samefile(tmp_path / "step-40.pt"), "it takes no room"

    def test_a_file_system_without_hard_links_has_a_copy(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        store = with_evaluated(tmp_path, 20, 40)
        for step in (20, 20, 40):
            store.name_also(BEST, step)
            assert best_of(store) == step
        assert not (tmp_path / BEST).samefile(tmp_path / "step-40.pt")
        assert names_in(tmp_path) == [BEST, LAST, "step-20.pt", "step-40.pt"]

    def test_it_stays_when_its_evaluation_s_checkpoint_is_written_again_or_taken_away(self, tmp_path: Path) -> None:
        store = with_evaluated(tmp_path, 20)
        store.name_also(BEST, 20)
        store.save("step-20.pt", {"step": 21})
        assert best_of(store) == 20
        store.name_also(BEST, 20)
        assert best_of(store) == 21
        (tmp_path / "step-20.pt").unlink()
        store.name_also(BEST, 20)
        assert best_of(store) == 21

    def test_what_is_not_wanted_any_more_goes_and_nothing_else(self, tmp_path: Path) -> None:
        store = with_evaluated(tmp_path, 20, 40, 60)
        store.name_also(BEST, 20)
        for name in ("step-80.partial", "notes.txt", "steps.pt"):
            (tmp_path / name).touch()
        store.keep_only([40, 60, 100])
        assert names_in(tmp_path) == [BEST, LAST, "notes.txt", "step-40.pt", "step-60.pt", "steps.pt"]
        assert best_of(store) == 20


def test_another_runs_checkpoint_is_not_resumed_from(tmp_path: Path) -> None:
    said: list[str] = []
    a_store(tmp_path, said, "other parameters/seed").save(LAST, CONTENTS)
    assert a_store(tmp_path, said).load() is None
    assert "other parameters or another seed" in said[0]


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_damaged_checkpoint_is_told_and_passed_over(tmp_path: Path, length: int) -> None:
    said: list[str] = []
    store = a_store(tmp_path, said)
    store.save(LAST, CONTENTS)
    (tmp_path / LAST).write_bytes((tmp_path / LAST).read_bytes()[:length])
    assert store.load() is None
    assert "cannot be read" in said[0]


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (tmp_path / "ran",))

    said: list[str] = []
    (tmp_path / LAST).write_bytes(pickle.dumps(Attack(), protocol=2))
    assert a_store(tmp_path, said).load() is None
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("owner", "call"), [(os, "fsync"), (Path, "replace")])
def test_a_write_that_is_cut_short_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, call: str
) -> None:
    said: list[str] = []
    store = a_store(tmp_path, said)
    store.save(LAST, {"step": 20})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, call, killed)
        with pytest.raises(KeyboardInterrupt):
            store.save(LAST, {"step": 40})
    back = store.load()
    assert back is not None
    assert back["step"] == 20
    store.save(LAST, {"step": 60})
    assert names_in(tmp_path) == [LAST]


def test_what_is_prepared_is_the_checkpoint_only_once_it_is_in_place(tmp_path: Path) -> None:
    said: list[str] = []
    store = a_store(tmp_path, said)
    assert store.load_prepared(LAST) is None
    store.save(LAST, {"step": 20})
    store.prepare(LAST, {"step": 40})
    steps = [contents and contents["step"] for contents in (store.load(), store.load_prepared(LAST))]
    assert steps == [20, 40]
    store.put_in_place(LAST)
    assert store.load_prepared(LAST) is None
    assert (store.load() or {})["step"] == 40
    assert said == []


def test_what_was_prepared_in_part_is_nothing_and_is_not_worth_a_word(tmp_path: Path) -> None:
    said: list[str] = []
    store = a_store(tmp_path, said)
    store.prepare(LAST, {"step": 40})
    (partial,) = tmp_path.iterdir()
    partial.write_bytes(partial.read_bytes()[:-100])
    assert store.load_prepared(LAST) is None
    assert said == []


def test_the_file_is_on_the_disk_before_it_has_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        calls.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def watched_replace(path: Path, target: Path) -> Path:
        calls.append(f"rename {path.name} {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    a_store(tmp_path, []).save(LAST, CONTENTS)
    assert calls == ["fsync last.partial", "rename last.partial last.pt", f"fsync {tmp_path.name}"]
