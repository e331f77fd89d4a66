"""`python -m hack.generate` writes the generated files; with `--check` it only says which ones are stale."""

import argparse
import sys
from pathlib import Path

from hack.generate.files import Files
from hack.generate.registry import all_files
from hack.paths import ROOT


def stale(files: Files, root: Path) -> list[Path]:
    """Return the files that are missing below `root` or hold something else."""
    return [path for path, text in files.items() if _text_of(root / path) != text]


def write(files: Files, root: Path) -> None:
    """Write the files below `root`."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def main() -> int:
    """Write or check, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hack.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is not current")
    check = parser.parse_args().check
    files = all_files()
    changed = stale(files, ROOT)
    if not check:
        write({path: files[path] for path in changed}, ROOT)
    for path in changed:
        print(f"{path} is stale: run make generate" if check else f"wrote {path}")
    return 1 if check and changed else 0


def _text_of(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
