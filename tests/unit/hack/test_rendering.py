"""What we hand to kind, mmdebstrap and the container engine."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hack import debian, dockerfile, kind_config, load
from hack.node_image import NodeImage
from hack.progress import duration
from hack.tools import linker_flags

OURS = NodeImage("localhost/tuning-operator/node:abc", ours=True)
PUBLISHED = NodeImage("docker.io/kindest/node:v1.34.0", ours=False)


def rendered(image: NodeImage) -> tuple[dict[str, Any], dict[str, Any]]:
    config = json.loads(kind_config.render(image))
    return config, json.loads(config["nodes"][0]["kubeadmConfigPatches"][0])


@pytest.mark.parametrize("image", [OURS, PUBLISHED])
def test_every_cluster_listens_on_loopback_and_has_fast_controllers(image: NodeImage) -> None:
    config, patch = rendered(image)
    assert config["networking"]["apiServerAddress"] == "127.0.0.1"
    assert config["nodes"][0]["image"] == image.reference
    assert patch["controllerManager"]["extraArgs"]["kube-api-qps"] == "1000"
    assert patch["controllerManager"]["extraArgs"]["concurrent-job-syncs"] == "50"


def test_only_our_node_image_brings_its_own_network_and_storage() -> None:
    ours, our_patch = rendered(OURS)
    published, published_patch = rendered(PUBLISHED)
    assert ours["networking"]["disableDefaultCNI"]
    assert "disableDefaultCNI" not in published["networking"]
    assert our_patch["controllerManager"]["extraVolumes"]
    assert "extraVolumes" not in published_patch["controllerManager"]


@pytest.mark.parametrize(
    ("sources", "mirror"),
    [
        ("deb http://mirror.example/debian bookworm main", "http://mirror.example/debian"),
        ("deb [signed-by=/k.gpg] http://mirror.example/debian/ bookworm main", "http://mirror.example/debian/"),
        ("Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm", "http://mirror.example/debian"),
        ("deb http://mirror.example/debian-security bookworm-security main", debian.DEFAULT_MIRROR),
        ("", debian.DEFAULT_MIRROR),
    ],
)
def test_the_mirror_is_the_machines(sources: str, mirror: str) -> None:
    assert debian.first_mirror(sources) == mirror


def test_a_bases_name_changes_with_its_packages() -> None:
    one = debian.Base("base", "trixie", ("python3",))
    other = debian.Base("base", "trixie", ("python3", "python3-venv"))
    assert one.reference != other.reference
    assert one.reference.startswith("localhost/tuning-operator/base:")


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("ARG BASE_IMAGE=python:3.13-slim\nFROM ${BASE_IMAGE}", "docker.io/library/python:3.13-slim"),
        ('ARG BASE_IMAGE="pytorch/pytorch:2"\n', "docker.io/pytorch/pytorch:2"),
        ("ARG BASE_IMAGE=quay.io/team/base:1\n", "quay.io/team/base:1"),
        ("FROM scratch\n", None),
    ],
)
def test_the_default_base_gets_its_full_name(text: str, base: str | None) -> None:
    assert dockerfile.default_base(text) == base


def test_sources_are_what_is_copied_from_the_context() -> None:
    text = 'COPY a \\\n  b/c /app/\nCOPY --from=build /x /y\nADD --chown=1:1 d /d\nCOPY ["e", "/e"]\nRUN cp q r\n'
    assert list(dockerfile.sources(text)) == ["a", "b/c", "d", "e"]


def test_files_that_no_instruction_copies_are_no_inputs(tmp_path: Path) -> None:
    for name in ("app/main.py", "app2/other.py", "docs/page.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    file = tmp_path / "Dockerfile"
    file.write_text("FROM scratch\nCOPY app/ /app/\n")
    assert [path.relative_to(tmp_path).as_posix() for path in dockerfile.inputs(file, tmp_path)] == ["app/main.py"]
    file.write_text("FROM scratch\nCOPY . /app/\n")
    assert len(dockerfile.inputs(file, tmp_path)) == 4


def archive_of(files: dict[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return io.BytesIO(stream.getvalue())


def test_an_image_is_loaded_without_the_layers_that_the_node_has() -> None:
    index = json.dumps({"manifests": [{"digest": "sha256:33"}]}).encode()
    source = archive_of({"blobs/sha256/11": b"known", "blobs/sha256/22": b"new", "index.json": index})
    sink = io.BytesIO()
    load.copy_missing(source, sink, {"sha256:11"}, "localhost/x:1")
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as archive:
        assert archive.getnames() == ["blobs/sha256/22", "index.json"]
        content = archive.extractfile("index.json")
        assert content is not None
        assert json.load(content)["manifests"][0]["annotations"] == {load.NAME: "localhost/x:1"}


def test_the_binaries_state_their_version_to_both_sides() -> None:
    flags = linker_flags("v1.34.4")
    assert "-X k8s.io/component-base/version.gitMinor=34" in flags
    assert "-X k8s.io/client-go/pkg/version.gitVersion=v1.34.4" in flags


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (260, "4 min 20 s")])
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
