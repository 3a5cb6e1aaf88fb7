"""What a server offers in TLS, and what a client that checks makes of it: asked with openssl, nmap and curl.

openssl s_client   one version, one family of ciphers at a time; verifies chain and name
nmap               every version and cipher that it knows, those too that openssl has given up
curl               as a program would: an exit status
"""

from __future__ import annotations

import re
import socket
import ssl
import uuid
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.harness.visit import FORM, Answer, form, visiting
from topologies.host import AUTHORITY, EmulatedHost
from topologies.stage import DOMAIN

PORT = 443
#: What is offered → (options of `openssl s_client`, whether it must be accepted). SECLEVEL 0: the client does
#: not object to anything itself.
OFFERS: dict[str, tuple[tuple[str, ...], bool]] = {
    "TLS 1.0": (("-tls1", "-cipher", "ALL:@SECLEVEL=0"), False),
    "TLS 1.1": (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), False),
    "TLS 1.2": (("-tls1_2", "-cipher", "ALL:@SECLEVEL=0"), True),
    "TLS 1.3": (("-tls1_3",), True),
    "no encryption (NULL)": (("-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"), False),
    "no authentication (anon)": (("-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"), False),
    "CBC with SHA-1": (("-tls1_2", "-cipher", "SHA1:!eNULL:!aNULL:@SECLEVEL=0"), False),
    "RC4": (("-tls1_2", "-cipher", "RC4:@SECLEVEL=0"), False),
    "3DES": (("-tls1_2", "-cipher", "3DES:@SECLEVEL=0"), False),
    "export strength": (("-tls1_2", "-cipher", "EXPORT:@SECLEVEL=0"), False),
}
ACCEPTED_VERSIONS = ("TLSv1.2", "TLSv1.3")
#: Pattern in the standard's name of a cipher → why it is weak (RFC 9325, section 4.1).
WEAKNESSES = {
    "_NULL_": "no encryption", "_anon_": "no authentication", "EXPORT": "export strength", "RC4": "RC4",
    "DES_": "DES or 3DES", "_MD5": "MD5", "_CBC_SHA$": "CBC with SHA-1", "_RC2_": "RC2", "IDEA": "IDEA",
}  # fmt: skip
_VERIFY_ERROR = re.compile(r"verify error:num=(\d+):(.+)")
_VERSION = re.compile(r"Protocol version: (\S+)")
_CIPHER = re.compile(r"Ciphersuite: (\S+)")
_ALERT = re.compile(r"alert ([a-z ]+)")


@dataclass(frozen=True)
class Handshake:
    """`accepted` None: the client could not even offer that. `said`: what was agreed, or why not."""

    accepted: bool | None
    said: str


def s_client(client: EmulatedHost, address: str, *options: str, name: str = DOMAIN) -> Handshake:
    """One handshake as openssl reports it; chain and name are verified, and an error in them ends it."""
    line = ["openssl", "s_client", "-connect", f"{address}:{PORT}", "-servername", name, "-brief", *options]
    line += ["-CAfile", AUTHORITY, "-verify_return_error", "-verify_hostname", name]
    done = client.run(line, check=False)
    return handshake(done.returncode, done.stdout + done.stderr)


def unreachable(client: EmulatedHost, address: str) -> str:
    """Why no connection to the TLS port can be made; "" if one can."""
    try:
        client.connect(address, PORT, 2.0).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def handshake(status: int, said: str) -> Handshake:
    """What `openssl s_client -brief` has said."""
    if "no cipher match" in said:
        return Handshake(None, "this openssl does not have it")
    if status == 0 and "CONNECTION ESTABLISHED" in said:
        agreed = [found[1] for pattern in (_VERSION, _CIPHER) if (found := pattern.search(said))]
        return Handshake(True, ", ".join(agreed))
    refused = _VERIFY_ERROR.search(said)
    if refused:
        return Handshake(False, f"client: {refused[2].strip()} ({refused[1]})")
    alert = _ALERT.search(said)
    return Handshake(False, f"server: {alert[1].strip()}" if alert else _last_line(said))


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:90] if lines else "no answer"


def offered(client: EmulatedHost, address: str) -> dict[str, list[str]]:
    """Version → ciphers that the server accepts in it, as nmap finds them. Raises CommandFailed."""
    line = ["nmap", "-n", "-Pn", "-p", str(PORT), "--script", "ssl-enum-ciphers", "--script-args"]
    line += [f"tls.servername={DOMAIN}", "-oX", "-", address]
    return offered_in(client.run(line, timeout_s=90.0).stdout)


def offered_in(document: str) -> dict[str, list[str]]:
    """The same, from nmap's XML."""
    found: dict[str, list[str]] = {}
    for version in ElementTree.fromstring(document).iterfind(".//script[@id='ssl-enum-ciphers']/table"):
        names = version.iterfind("table[@key='ciphers']/table/elem[@key='name']")
        found[version.attrib["key"]] = [name.text or "" for name in names]
    return found


def weakness(cipher: str) -> str | None:
    """Why this cipher must not be offered, or None."""
    return next((why for pattern, why in WEAKNESSES.items() if re.search(pattern, cipher)), None)


def objections(found: dict[str, list[str]]) -> list[str]:
    """What is wrong with an offer: old versions, weak ciphers, or nothing at all."""
    wrong = [f"{version} is accepted" for version in found if version not in ACCEPTED_VERSIONS]
    wrong += [f"{version} is not accepted" for version in ACCEPTED_VERSIONS if version not in found]
    wrong += [
        f"{cipher} ({why})"
        for version in ACCEPTED_VERSIONS
        for cipher in found.get(version, ())
        if (why := weakness(cipher))
    ]
    return wrong


def curl(client: EmulatedHost, address: str, *options: str, name: str = DOMAIN) -> Handshake:
    """GET / over TLS as curl makes it, with the CA of the run and no other."""
    line = ["curl", "-sS", "-m", "8", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", AUTHORITY]
    line += ["--resolve", f"{name}:{PORT}:{address}", *options, f"https://{name}/"]
    done = client.run(line, check=False)
    if done.returncode == 0:
        return Handshake(True, f"answer {done.stdout.strip()}")
    return Handshake(
        False, f"client: {_last_line(done.stderr.partition('More details')[0]).removeprefix('curl: ')}"
    )


def presented(client: EmulatedHost, address: str) -> str:
    """The certificate that the server shows, in PEM, whatever it is worth. Raises OSError."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection: socket.socket = client.connect(address, PORT, 2.0)
    with connection, context.wrap_socket(connection, server_hostname=DOMAIN) as stream:
        return ssl.DER_cert_to_PEM_cert(stream.getpeercert(binary_form=True) or b"")


# -- plain HTTP --------------------------------------------------------------------------------------

#: Method, path, body and its kind. The form is one that a user might send before anybody could warn him.
REQUESTS: tuple[tuple[str, str, str, str], ...] = (
    ("GET", "/", "", FORM),
    ("GET", "/items/1", "", FORM),
    ("GET", "/login", "", FORM),
    ("POST", "/login", form(name="somebody", password="something"), FORM),
    ("GET", "/static/site.css", "", FORM),
    ("GET", "/api/items/1", "", FORM),
    ("PUT", f"/api/orders/{uuid.UUID(int=0)}", '{"item_id": 1, "quantity": 1}', "application/json"),
    ("GET", "/health", "", FORM),
    ("GET", "/no/such/page?x=1", "", FORM),
)  # fmt: skip


@dataclass(frozen=True)
class PlainAnswer:
    """What came back for a request in plain HTTP, and what is wrong with it."""

    request: str
    answer: Answer
    wrong: tuple[str, ...]


def plain_http(
    client: EmulatedHost, address: str, requests: Sequence[tuple[str, str, str, str]] = REQUESTS
) -> list[PlainAnswer]:
    """Ask `address` in plain HTTP, each on a connection of its own. Raises OSError."""
    found = []
    for method, path, body, kind in requests:
        with visiting(client, "http", address) as visitor:
            answer = visitor.ask(method, path, body, kind)
        found.append(PlainAnswer(f"{method} {path}", answer, tuple(not_a_redirect(path, answer))))
    return found


def not_a_redirect(path: str, answer: Answer) -> list[str]:
    """What an answer has that a mere redirect to https has not (RFC 9110, section 15.4.2)."""
    wrong = []
    if answer.status != 301:
        wrong.append(f"status {answer.status}")
    if answer.headers.get("location") != (f"https://{DOMAIN}{path}",):
        wrong.append(f"to {' '.join(answer.headers.get('location', ('nowhere',)))}")
    if "set-cookie" in answer.headers:
        wrong.append("a cookie")
    # nginx writes a line for people who see it; the site's own pages name who made them.
    if "x-database" in answer.headers or len(answer.body) > 250:
        wrong.append(f"a page of {len(answer.body)} bytes")
    return wrong
