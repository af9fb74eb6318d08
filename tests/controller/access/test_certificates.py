"""This machine's TLS: an authority made once, leaves renewed in time, keys nobody else reads, and a real handshake."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from controller.access.certificates import (
    LEAF_DAYS,
    RENEW_DAYS,
    CertificateError,
    Certificates,
    certificates,
    client_context,
    fingerprint,
    machine_names,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ["brain.local", "127.0.0.1", "192.168.10.5", "::1"]


def leaf_of(found: Certificates) -> x509.Certificate:
    return x509.load_pem_x509_certificate(found.leaf.read_bytes())


def test_made_once_and_kept_from_others(tmp_path: Path) -> None:
    first = certificates(tmp_path / "tls", NAMES, now=NOW)
    told = fingerprint(first.authority.read_bytes())
    assert len(told.split(":")) == 32
    names = leaf_of(first).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"brain.local"}
    assert {str(ip) for ip in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "192.168.10.5", "::1"}
    before = first.leaf.read_bytes()
    again = certificates(tmp_path / "tls", NAMES[:2], now=NOW + timedelta(days=LEAF_DAYS - RENEW_DAYS - 1))
    assert again.leaf.read_bytes() == before
    for key in ("ca.key", "leaf.key"):
        assert (tmp_path / "tls" / key).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700


def test_the_leaf_is_renewed_in_time_for_new_names_and_when_damaged(tmp_path: Path) -> None:
    found = certificates(tmp_path, NAMES, now=NOW)
    authority, first = found.authority.read_bytes(), leaf_of(found)
    later = NOW + timedelta(days=LEAF_DAYS - RENEW_DAYS + 1)
    second = leaf_of(certificates(tmp_path, NAMES, now=later))
    assert second.serial_number != first.serial_number
    assert second.not_valid_after_utc > first.not_valid_after_utc
    third = leaf_of(certificates(tmp_path, [*NAMES, "10.0.0.7"], now=later))
    assert third.serial_number != second.serial_number
    found.leaf.write_text("no certificate")
    assert leaf_of(certificates(tmp_path, NAMES, now=later)).serial_number != third.serial_number
    assert found.authority.read_bytes() == authority, "nobody has to trust anything anew"


def test_a_damaged_authority_is_told_and_not_replaced(tmp_path: Path) -> None:
    found = certificates(tmp_path, NAMES, now=NOW)
    found.authority.write_text("no certificate")
    with pytest.raises(CertificateError) as error:
        certificates(tmp_path, NAMES, now=NOW)
    assert str(tmp_path) in error.value.problems[0].mend
    assert found.authority.read_text() == "no certificate"


def test_a_client_that_trusts_the_authority_gets_through_and_no_other(tmp_path: Path) -> None:
    found = certificates(tmp_path, ["localhost", "127.0.0.1"], now=datetime.now(UTC))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(found.leaf, found.key)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)

    def serve() -> None:
        for _ in range(3):
            raw, _ = listener.accept()
            try:
                with server.wrap_socket(raw, server_side=True) as secured:
                    secured.sendall(b"hello")
            except (ssl.SSLError, OSError):
                raw.close()

    thread = threading.Thread(target=serve)
    thread.start()

    def greet(context: ssl.SSLContext, name: str) -> bytes:
        with (
            socket.create_connection(listener.getsockname(), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname=name) as secured,
        ):
            return secured.recv(5)

    try:
        assert greet(client_context(found.authority), "127.0.0.1") == b"hello"
        with pytest.raises(ssl.SSLCertVerificationError):
            greet(client_context(found.authority), "other.example")
        with pytest.raises(ssl.SSLCertVerificationError):
            greet(ssl.create_default_context(), "127.0.0.1")
    finally:
        thread.join(20)
        listener.close()


def test_the_machine_knows_its_names() -> None:
    names = machine_names("volume.studio.lan", "0.0.0.0")
    assert {"localhost", "127.0.0.1", "volume.studio.lan"} <= set(names)
    assert "0.0.0.0" not in names
