"""Checkpoints that are either whole or not there: the last one, and the best of those that were evaluated.

A run of a fixed number of steps keeps the best few, and the best is chosen afterwards (playbook: CKP-3). Which these
are is a function of the curve that the last one holds, so nothing beside the files remembers it.

A pod can be killed between any two instructions, and so can its node. A file is therefore written beside its place,
forced to the disk, and renamed into place; the directory is forced to the disk as well, since the name is in there.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

import torch

LAST: Final = "last.pt"
BEST: Final = "best.pt"
"""The best of those below by another name: what people look for."""
EVALUATED: Final = "step-{step}.pt"
FORMAT: Final = 3


class CheckpointStore:
    """The checkpoints of one trial, in a directory that its attempts share one after the other."""

    def __init__(self, directory: Path, identity: str, say: Callable[[str], None]) -> None:
        """Use `directory`, which is made if need be; checkpoints of another `identity` are not resumed from."""
        self._directory = directory
        self._identity = identity
        self._say = say
        directory.mkdir(parents=True, exist_ok=True)

    def save(self, name: str, contents: dict[str, Any]) -> None:
        """Replace the checkpoint `name` by one with these contents, atomically."""
        self.prepare(name, contents)
        self.put_in_place(name)

    def prepare(self, name: str, contents: dict[str, Any]) -> None:
        """Write what is to replace the checkpoint `name`, beside it and safely onto the disk."""
        with self._beside(name).open("wb") as file:
            torch.save({"format": FORMAT, "identity": self._identity, **contents}, file)
            file.flush()
            os.fsync(file.fileno())

    def put_in_place(self, name: str) -> None:
        """Let what was prepared become the checkpoint `name`."""
        self._beside(name).replace(self._directory / name)
        self._force_names_to_disk()

    def name_also(self, name: str, evaluated: int) -> None:
        """Let `name` be the evaluated model of a step as well, atomically: a hard link, or a copy where there are none.

        Nothing happens where somebody has taken that checkpoint away.
        """
        path, target = self._directory / name, self._directory / EVALUATED.format(step=evaluated)
        if not target.exists() or (path.exists() and path.samefile(target)):
            return
        beside = path.with_suffix(".partial")
        beside.unlink(missing_ok=True)
        try:
            beside.hardlink_to(target)
        except OSError:
            shutil.copyfile(target, beside)
            with beside.open("rb") as file:
                os.fsync(file.fileno())
        beside.replace(path)
        self._force_names_to_disk()

    def keep_only(self, evaluated: Collection[int]) -> None:
        """Delete the evaluated models of all steps but these, also those that another run has left here."""
        names = {EVALUATED.format(step=step) for step in evaluated}
        for path in self._directory.glob("step-[0-9]*"):  # also what a kill has left unfinished
            if path.name not in names:
                path.unlink()

    def load(self, name: str = LAST) -> dict[str, Any] | None:
        """Return a checkpoint's contents; None where it is absent, unreadable or another run's, and say which."""
        return self._read(self._directory / name, self._say)

    def load_prepared(self, name: str) -> dict[str, Any] | None:
        """Return what was prepared and not put in place; None where nothing was, or not all of it."""
        return self._read(self._beside(name), lambda _: None)

    def _read(self, path: Path, say: Callable[[str], None]) -> dict[str, Any] | None:
        if not path.exists():
            return None
        try:
            # weights_only: a checkpoint is data; it must not be able to run code.
            contents: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # PyTorch raises whatever its reader met: pickle, zip, EOF, Unicode errors
            say(f"{path} cannot be read ({error!r:.200}): starting at step 0")
            return None
        if contents.get("format") != FORMAT or contents.get("identity") != self._identity:
            say(f"{path} is of a run with other parameters or another seed: starting at step 0")
            return None
        return contents

    def _beside(self, name: str) -> Path:
        return (self._directory / name).with_suffix(".partial")

    def _force_names_to_disk(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Some network file systems refuse this for directories; there the rename is as durable as they make it.
            with contextlib.suppress(OSError):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
