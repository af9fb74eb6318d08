"""TLS of this machine: an authority of its own, made when it is first needed, and the certificate it signs.

Both lie beside the users (`<state>/tls`); private keys are readable by their owner alone. Whoever trusts `ca.pem` once
(`openvolume access ca`) is sure to speak to this machine, whatever its certificate is by then: that one is renewed long
before it ends, and whenever the machine has got another name or address.
"""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from controller.access.store import access_folder
from controller.errors import ControllerError
from controller.rundir import replace_file
from controller.st2110.network import interfaces
from runtime.clock import ASSUMED_TAI_MINUS_UTC_S, NS_PER_S
from stage.errors import Problem

FOLDER: Final = "tls"
AUTHORITY_DAYS: Final = 3650
LEAF_DAYS: Final = 180
RENEW_DAYS: Final = 60
"""A certificate that ends sooner is made anew."""
SKEW: Final = timedelta(days=1)
"""Other machines' clocks may be behind ours by so much."""


class CertificateError(ControllerError):
    """The certificate of this machine cannot be made, read or kept."""

    code = "controller.certificate"


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where the files lie: PEM, the leaf with its authority behind it."""

    authority: Path
    leaf: Path
    key: Path


def tls_folder() -> Path:
    """Where this machine's certificates are kept."""
    return access_folder() / FOLDER


def utc(tai_ns: int) -> datetime:
    """The date of an instant of TAI, for certificates."""
    return datetime.fromtimestamp(tai_ns // NS_PER_S - ASSUMED_TAI_MINUS_UTC_S, UTC)


def machine_names(*more: str) -> list[str]:
    """Every name and address this machine is reached by, and `more`; sorted."""
    host = socket.gethostname().partition(".")[0].lower()
    names = {"localhost", "127.0.0.1", "::1", socket.gethostname().lower(), host, f"{host}.local"}
    names |= {interface.address for interface in interfaces()}
    names |= {name.lower() for name in more if name not in ("", "0.0.0.0", "::")}  # noqa: S104
    return sorted(name for name in names if name)


def certificates(folder: Path, names: Iterable[str], *, now: datetime) -> Certificates:
    """The certificate for these names, made or renewed if it must be. Takes milliseconds; reads and writes files.

    Raises
    ------
    CertificateError : the folder cannot be written, or what lies in it is damaged.
    """
    found = Certificates(folder / "ca.pem", folder / "leaf.pem", folder / "leaf.key")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _authority(folder, now)
            wanted = sorted(set(names))
            if not _fits(found, wanted, now):
                _sign(folder, found, wanted, now)
    except (OSError, ValueError) as error:
        mend = f"mend the permissions of {folder}; or move it away, and whoever trusted it trusts the new one"
        raise CertificateError(Problem(CertificateError.code, str(folder), str(error), None, mend)) from error
    return found


def fingerprint(pem: bytes) -> str:
    """SHA-256 of a certificate, as browsers show it: `AB:CD:...`."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def client_context(authority: Path | None = None) -> ssl.SSLContext:
    """How a client of ours checks whom it speaks to: by this machine's authority and those the system trusts."""
    context = ssl.create_default_context()
    own = authority or tls_folder() / "ca.pem"
    if own.exists():
        context.load_verify_locations(own)
    return context


def _authority(folder: Path, now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if (folder / "ca.pem").exists() and (folder / "ca.key").exists():
        x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        return
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"OpenVolume on {socket.gethostname()}"[:64])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_others=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    replace_file(folder / "ca.key", _pem(key), mode=0o600)
    replace_file(folder / "ca.pem", _cert_pem(builder.sign(key, hashes.SHA256())), mode=0o644)


def _fits(found: Certificates, names: list[str], now: datetime) -> bool:
    """Whether the leaf that is there is of our authority, for these names, and lasts."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    if not (found.leaf.exists() and found.key.exists()):
        return False
    try:
        leaf = x509.load_pem_x509_certificate(found.leaf.read_bytes())
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(found.authority.read_bytes()))
        told = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    held = [*told.get_values_for_type(x509.DNSName), *map(str, told.get_values_for_type(x509.IPAddress))]
    return set(names) <= set(held) and leaf.not_valid_after_utc - now > timedelta(days=RENEW_DAYS)


def _sign(folder: Path, found: Certificates, names: list[str], now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    authority = x509.load_pem_x509_certificate(found.authority.read_bytes())
    authority_key: Any = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    ends = min(now + timedelta(days=LEAF_DAYS), authority.not_valid_after_utc)
    if ends - now <= timedelta(days=RENEW_DAYS):
        raise ValueError(f"the authority ends on {authority.not_valid_after_utc:%Y-%m-%d}")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(socket.gethostname()[:64]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_others=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    signed = _cert_pem(builder.sign(authority_key, hashes.SHA256()))
    replace_file(found.key, _pem(key), mode=0o600)
    replace_file(found.leaf, signed + found.authority.read_bytes(), mode=0o644)


def _general(name: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(common: str) -> Any:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


def _usage(*, signs_others: bool) -> Any:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_others, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=signs_others, crl_sign=signs_others,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))


def _cert_pem(certificate: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return bytes(certificate.public_bytes(serialization.Encoding.PEM))
