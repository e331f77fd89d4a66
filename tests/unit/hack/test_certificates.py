"""The certificates by which a test's users and server know each other."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from hack.certificates import Authority
from hack.control_plane import kubeconfig


def test_a_clients_certificate_says_who_the_user_is() -> None:
    certificate = x509.load_pem_x509_certificate(Authority().client("eve", ["viewers", "team"]).certificate)
    subject = certificate.subject
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["eve"]
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["viewers", "team"]


def test_python_accepts_the_authority_and_the_pairs_that_it_signed(tmp_path: Path) -> None:
    authority = Authority()
    pair = authority.server(["localhost"], ["127.0.0.1"])
    (tmp_path / "crt").write_bytes(pair.certificate)
    (tmp_path / "key").write_bytes(pair.key)
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")


def test_a_kubeconfig_carries_everything_inside() -> None:
    authority = Authority()
    config = kubeconfig("https://127.0.0.1:1", authority.certificate, authority.client("eve"))
    assert config["current-context"] == "test"
    assert "client-key-data" in json.dumps(config)
