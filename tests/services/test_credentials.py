"""A client that trusts the run's CA accepts the site's certificate, and no other name, CA or time."""

from __future__ import annotations

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from services.credentials import Secrets

NAME, ADDRESS = "www.foobar.com", "10.0.1.21"
SECRETS = Secrets()


def verify(
    certificate: str, authority: str, subject: x509.GeneralName, when: datetime.datetime | None = None
) -> None:
    """As a TLS client does (RFC 5280 path validation, RFC 6125 names). Raises VerificationError."""
    builder = PolicyBuilder().store(Store([x509.load_pem_x509_certificate(authority.encode())]))
    builder = builder.time(when) if when else builder
    assert isinstance(subject, x509.DNSName | x509.IPAddress)
    verifier = builder.build_server_verifier(subject)
    verifier.verify(x509.load_pem_x509_certificate(certificate.encode()), [])


@pytest.mark.parametrize("subject", [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address(ADDRESS))])
def test_a_certificate_verifies_for_each_of_its_names(subject: x509.GeneralName) -> None:
    verify(SECRETS.certificate(NAME, ADDRESS).certificate, SECRETS.authority, subject)


@pytest.mark.parametrize(
    "subject",
    [x509.DNSName("foobar.com"), x509.DNSName("db1"), x509.IPAddress(ipaddress.ip_address("10.0.1.22"))],
)
def test_a_name_that_is_not_in_it_is_refused(subject: x509.GeneralName) -> None:
    with pytest.raises(VerificationError):
        verify(SECRETS.certificate(NAME, ADDRESS).certificate, SECRETS.authority, subject)


def test_the_authority_of_another_run_is_refused() -> None:
    with pytest.raises(VerificationError):
        verify(SECRETS.certificate(NAME).certificate, Secrets().authority, x509.DNSName(NAME))


def test_it_outlives_no_run_by_much() -> None:
    next_week = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=7)
    with pytest.raises(VerificationError):
        verify(SECRETS.certificate(NAME).certificate, SECRETS.authority, x509.DNSName(NAME), next_week)


def test_key_and_certificate_belong_together_and_are_made_once() -> None:
    pair = SECRETS.certificate(NAME)
    assert SECRETS.certificate(NAME) == pair
    key = load_pem_private_key(pair.key.encode(), password=None)
    assert key.public_key() == x509.load_pem_x509_certificate(pair.certificate.encode()).public_key()
    assert pair.chain_and_key == pair.certificate + pair.key
    assert pair.authority == SECRETS.authority


def test_nothing_confidential_is_shown_when_secrets_are_printed() -> None:
    secrets = Secrets()
    password, pair = secrets.password("mysql-site"), secrets.certificate(NAME)
    assert len(password) >= 32
    assert secrets.password("mysql-site") == password != secrets.password("somebody-else")
    assert {password, pair.key} <= set(secrets.confidential)
    shown = f"{secrets!r} {pair!r}"
    assert not any(text in shown for text in secrets.confidential)
