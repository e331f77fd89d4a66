"""Content hashes and things that are made once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hack.cache import files_in, hash_of, hash_of_files, made


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNING_OPERATOR_CACHE", str(tmp_path / "cache"))


def test_texts_do_not_run_into_each_other() -> None:
    assert hash_of("ab", "c") != hash_of("a", "bc")
    assert hash_of("ab", "c") == hash_of("ab", "c")


def tree(root: Path) -> list[Path]:
    root.mkdir(parents=True, exist_ok=True)
    (root / "a.txt").write_text("one")
    (root / "b.sh").write_text("two")
    return [root / "a.txt", root / "b.sh"]


def touch(root: Path) -> None:
    (root / "a.txt").touch()


def change_content(root: Path) -> None:
    (root / "a.txt").write_text("three")


def rename(root: Path) -> None:
    (root / "a.txt").rename(root / "c.txt")


def make_executable(root: Path) -> None:
    (root / "b.sh").chmod(0o755)


@pytest.mark.parametrize(
    ("change", "same"),
    [(touch, True), (change_content, False), (rename, False), (make_executable, False)],
)
def test_a_hash_of_files_changes_with_what_an_image_would_contain(
    tmp_path: Path, change: Callable[[Path], None], same: bool
) -> None:
    root = tmp_path / "tree"
    before = hash_of_files(root, tree(root))
    change(root)
    after = hash_of_files(root, list(root.iterdir()))
    assert (before == after) is same


def test_a_hash_of_files_ignores_where_the_checkout_is_and_in_which_order_files_come(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert hash_of_files(here, tree(here)) == hash_of_files(there, reversed(tree(there)))


def test_gits_ignored_files_are_no_input_and_new_files_are(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for name, content in {".gitignore": "*.log\n", "new.py": "", "noise.log": ""}.items():
        (tmp_path / name).write_text(content)
    assert {path.name for path in files_in(tmp_path)} == {".gitignore", "new.py"}


def test_a_thing_is_made_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def make(path: Path) -> None:
        calls.append(path)
        path.write_text("made")

    target = tmp_path / "folder" / "thing"
    assert made(target, make).read_text() == "made"
    assert made(target, make).read_text() == "made"
    assert len(calls) == 1


def test_an_interrupted_making_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    def interrupted(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    target = tmp_path / "thing"
    with pytest.raises(KeyboardInterrupt):
        made(target, interrupted)
    assert not target.exists()

    def whole(path: Path) -> None:
        path.write_text("whole")

    assert made(target, whole).read_text() == "whole"
