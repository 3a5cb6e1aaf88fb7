"""Every key and password is made for one run, kept in memory, and written only where its daemon reads it.

CA (per run) ──signs──► www.foobar.com …        clients trust the CA and nothing else
                        and, to be refused: a certificate that has expired, one that signed itself
"""

from __future__ import annotations

import datetime
import ipaddress
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Flaw = Literal["expired", "self-signed"]
_LIFETIME = datetime.timedelta(days=1)  # a run lives minutes; a day forgives a clock that is off


@dataclass(frozen=True)
class Certificate:
    """PEM texts: the certificate, its private key, and the CA that signed it."""

    certificate: str
    key: str = field(repr=False)
    authority: str

    @property
    def chain_and_key(self) -> str:
        """What HAProxy reads: one file with certificate and key."""
        return self.certificate + self.key


@dataclass(frozen=True)
class Secrets:
    """The secrets of one run. Two runs never share one."""

    _passwords: dict[str, str] = field(default_factory=dict, repr=False)
    _certificates: dict[tuple[str, ...], Certificate] = field(default_factory=dict, repr=False)
    _flawed: dict[tuple[str, ...], Certificate] = field(default_factory=dict, repr=False)

    def password(self, user: str) -> str:
        """The password of `user`: 24 random bytes, URL-safe (so that no configuration needs quoting)."""
        return self._passwords.setdefault(user, secrets.token_urlsafe(24))

    def certificate(self, *names: str) -> Certificate:
        """A certificate for these DNS names or addresses; the first is the common name."""
        if names not in self._certificates:
            self._certificates[names] = self._authority.issue(names)
        return self._certificates[names]

    def flawed_certificate(self, flaw: Flaw, *names: str) -> Certificate:
        """One that a careful client refuses: its time is over, or nobody but itself vouches for it."""
        if (flaw, *names) not in self._flawed:
            self._flawed[flaw, *names] = self._authority.issue(names, flaw)
        return self._flawed[flaw, *names]

    @property
    def authority(self) -> str:
        """The CA's certificate in PEM, which clients trust."""
        return self._authority.pem

    @property
    def confidential(self) -> tuple[str, ...]:
        """Every text that must appear in no log and no report."""
        pairs = (*self._certificates.values(), *self._flawed.values())
        return (*self._passwords.values(), *(pair.key for pair in pairs))

    @cached_property
    def _authority(self) -> _Authority:
        return _Authority()


class _Authority:
    """A certificate authority that lives as long as the run.

    ECDSA P-256: a handshake costs the small emulated servers a tenth of what RSA-2048 would.
    """

    def __init__(self) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec

        self._key = ec.generate_private_key(ec.SECP256R1())
        name = _name(x509, "Foobar testbed CA")
        builder = self._builder(x509, name, name, self._key.public_key(), self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(x509, ca=True), critical=True)
        self._certificate = self._sign(builder, self._key)
        self.pem = _pem(self._certificate)

    def issue(self, names: tuple[str, ...], flaw: Flaw | None = None) -> Certificate:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID

        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(x509, names[0])
        signer = key if flaw == "self-signed" else self._key
        issuer = subject if flaw == "self-signed" else self._certificate.subject
        ended = flaw == "expired"
        builder = self._builder(x509, subject, issuer, key.public_key(), signer.public_key(), ended=ended)
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_san(x509, n) for n in names]), critical=False
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(x509, ca=False), critical=True)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Certificate(_pem(self._sign(builder, signer)), private.decode(), self.pem)

    def _builder(
        self, x509: Any, subject: Any, issuer: Any, public_key: Any, signer_key: Any, *, ended: bool = False
    ) -> Any:
        # One that has ended did so an hour ago: no clock that is a little off makes it valid.
        now = datetime.datetime.now(datetime.UTC)
        end = now - datetime.timedelta(hours=1) if ended else now + _LIFETIME
        identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _LIFETIME)
            .not_valid_after(end)
            .add_extension(identifier, critical=False)
            .add_extension(signer, critical=False)
        )

    def _sign(self, builder: Any, key: Any) -> Any:
        from cryptography.hazmat.primitives import hashes

        return builder.sign(key, hashes.SHA256())


def _name(x509: Any, common_name: str) -> Any:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _san(x509: Any, name: str) -> Any:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(x509: Any, ca: bool) -> Any:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(certificate: Any) -> str:
    from cryptography.hazmat.primitives import serialization

    pem: bytes = certificate.public_bytes(serialization.Encoding.PEM)
    return pem.decode()
