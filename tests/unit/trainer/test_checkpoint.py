"""A checkpoint is whole, or it is not there."""

import os
import pickle
from pathlib import Path

import pytest

from tests.unit.trainer.needs_torch import torch
from tuning_trainer.checkpoint import BEST, LAST, CheckpointStore

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


def test_last_and_best_are_apart(tmp_path: Path) -> None:
    store = a_store(tmp_path, [])
    store.save(BEST, {"step": 20})
    store.save(LAST, {"step": 40})
    loaded = [store.load(name) for name in (BEST, LAST)]
    assert [contents and contents["step"] for contents in loaded] == [20, 40]
    assert sorted(path.name for path in tmp_path.iterdir()) == [BEST, LAST]


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
    assert [path.name for path in tmp_path.iterdir()] == [LAST]


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
