"""What openssl, nmap and plain HTTP say becomes accepted, refused or wrong, for the right reason."""

from __future__ import annotations

import pytest

from experiments.harness.tls_checks import (
    OFFERS,
    REQUESTS,
    Handshake,
    handshake,
    not_a_redirect,
    objections,
    offered_in,
    weakness,
)
from experiments.harness.visit import Answer

GOOD = {
    "TLSv1.2": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"],
    "TLSv1.3": ["TLS_AKE_WITH_AES_128_GCM_SHA256"],
}
REDIRECT = {"location": ("https://www.foobar.com/login",), "content-length": ("0",)}


# -- openssl -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (
            0,
            "CONNECTION ESTABLISHED\nProtocol version: TLSv1.3\nCiphersuite: TLS_AES_256_GCM_SHA384\nDONE\n",
            Handshake(True, "TLSv1.3, TLS_AES_256_GCM_SHA384"),
        ),
        (
            1,
            "40FF:error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version:"
            "../x.c:16:SSL alert 70",
            Handshake(False, "server: protocol version"),
        ),
        (
            1,
            "Call to SSL_CONF_cmd(-cipher, RC4:@SECLEVEL=0) failed\n"
            "40:error:0A0000B9:SSL:no cipher match:x.c:27:",
            Handshake(None, "this openssl does not have it"),
        ),
        (
            1,
            "verify error:num=10:certificate has expired\nnotAfter=Nov 24\n"
            "40:error:tls_post_process:certificate verify",
            Handshake(False, "client: certificate has expired (10)"),
        ),
        (1, "connect:errno=111\n", Handshake(False, "connect:errno=111")),
        (1, "", Handshake(False, "no answer")),
    ],
)
def test_a_handshake_is_what_openssl_has_said(status: int, said: str, expected: Handshake) -> None:
    assert handshake(status, said) == expected


def test_what_must_be_refused_is_offered_without_objections_of_the_client() -> None:
    assert all("@SECLEVEL=0" in options[-1] for options, wanted in OFFERS.values() if not wanted)
    assert [what for what, (_, wanted) in OFFERS.items() if wanted] == ["TLS 1.2", "TLS 1.3"]


# -- nmap --------------------------------------------------------------------------------------------


def test_versions_and_ciphers_are_read_from_nmaps_xml() -> None:
    document = """<nmaprun><host><ports><port><script id="ssl-enum-ciphers" output="x">
      <table key="TLSv1.2"><table key="ciphers">
        <table><elem key="strength">A</elem><elem key="name">ONE</elem></table>
      <table><elem key="name">TWO</elem></table></table><table key="compressors"><elem>NULL</elem></table>
      <elem key="cipher preference">server</elem></table>
      <elem key="least strength">A</elem></script></port></ports></host></nmaprun>"""
    assert offered_in(document) == {"TLSv1.2": ["ONE", "TWO"]}
    assert offered_in("<nmaprun/>") == {}


@pytest.mark.parametrize(
    ("cipher", "why"),
    [
        ("TLS_ECDHE_ECDSA_WITH_NULL_SHA", "no encryption"),
        ("TLS_ECDH_anon_WITH_AES_128_CBC_SHA", "no authentication"),
        ("TLS_RSA_EXPORT_WITH_RC4_40_MD5", "export strength"),
        ("TLS_ECDHE_RSA_WITH_RC4_128_SHA", "RC4"),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", "DES or 3DES"),
        ("TLS_RSA_WITH_DES_CBC_SHA", "DES or 3DES"),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "CBC with SHA-1"),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", None),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", None),
        ("TLS_AKE_WITH_CHACHA20_POLY1305_SHA256", None),
    ],
)
def test_a_cipher_is_weak_for_a_reason(cipher: str, why: str | None) -> None:
    assert weakness(cipher) == why


def test_a_good_offer_meets_no_objection_and_each_flaw_one() -> None:
    assert objections(GOOD) == []
    assert objections({**GOOD, "TLSv1.0": ["X"]}) == ["TLSv1.0 is accepted"]
    assert objections({"TLSv1.3": GOOD["TLSv1.3"]}) == ["TLSv1.2 is not accepted"]
    assert objections({**GOOD, "TLSv1.2": ["TLS_RSA_WITH_RC4_128_SHA"]}) == ["TLS_RSA_WITH_RC4_128_SHA (RC4)"]
    assert len(objections({})) == 2


# -- plain HTTP --------------------------------------------------------------------------------------


def test_a_mere_redirect_has_nothing_wrong() -> None:
    assert not_a_redirect("/login", Answer(301, REDIRECT, b"")) == []
    assert not_a_redirect("/login", Answer(301, {**REDIRECT, "server": ("nginx",)}, b"x" * 162)) == []


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (Answer(200, {}, b"x" * 900), ["status 200", "to nowhere", "a page of 900 bytes"]),
        (Answer(302, REDIRECT, b""), ["status 302"]),
        (Answer(301, {"location": ("https://elsewhere/login",)}, b""), ["to https://elsewhere/login"]),
        (Answer(301, {**REDIRECT, "set-cookie": ("a=b",)}, b""), ["a cookie"]),
        (Answer(301, {**REDIRECT, "x-database": ("primary",)}, b"{}"), ["a page of 2 bytes"]),
    ],
)
def test_whatever_is_more_than_a_redirect_is_named(answer: Answer, wrong: list[str]) -> None:
    assert not_a_redirect("/login", answer) == wrong


def test_a_form_is_among_what_is_tried_in_plain_http() -> None:
    assert ("POST", "/login") in {(method, path) for method, path, *_ in REQUESTS}
