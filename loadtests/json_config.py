"""A generator is configured by one JSON document: its fields are a dataclass's, checked one by one."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any
from urllib.parse import SplitResult, urlsplit

from loadtests.lookup import nameserver_endpoint

_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
}


class ConfigError(ValueError):
    """One line that says which field is wrong, and why."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def require_http_url(url: str, where: str) -> SplitResult:
    """Scheme http or https, a host, a port, no user. Raises ConfigError, which begins with `where`."""
    try:
        parts = urlsplit(url)
        port = port_of(parts)
    except ValueError as error:
        raise ConfigError(f"{where}url {url!r}: {error}") from error
    require(parts.scheme in ("http", "https"), f"{where}url {url!r}: http or https only")
    require(bool(parts.hostname) and 0 < port < 65536, f"{where}url {url!r}: no host or port in it")
    require(is_plain(url) and "@" not in parts.netloc, f"{where}url {url!r}: plain ASCII without a user")
    return parts


def port_of(parts: SplitResult) -> int:
    """Raises ValueError."""
    return parts.port or (443 if parts.scheme == "https" else 80)


def is_plain(text: str) -> bool:
    """Whether it can stand in a request line as it is."""
    return text.isascii() and text.isprintable() and " " not in text


def require_nameserver(nameserver: str | None) -> None:
    """ADDRESS or ADDRESS:PORT, or none at all. Raises ConfigError."""
    if nameserver is not None:
        try:
            good = is_address(nameserver_endpoint(nameserver)[0])
        except ValueError:
            good = False
        require(good, f"nameserver {nameserver!r}: ADDRESS or ADDRESS:PORT")


def document_of(text: str) -> dict[str, Any]:
    """The JSON object in `text`. Raises ConfigError."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"not JSON: {error}") from error
    require(isinstance(document, dict), "the document must be an object")
    return dict(document)


def objects_in(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Takes the list of objects `name` out of the document. Raises ConfigError."""
    objects = document.pop(name, None)
    are_objects = isinstance(objects, list) and all(isinstance(o, dict) for o in objects)
    require(are_objects, f"{name}: a list of objects")
    return list(objects or ())


def checked(kind: type, values: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    """`values` if they name all required fields of the dataclass `kind`, no others, with its types.

    Lists are taken for tuples[X, ...]. Raises ConfigError.
    """
    known = {f.name: f for f in fields(kind)}
    found = dict(values)
    for name, value in values.items():
        require(name in known, f"{what} has no field {name!r}; it has {', '.join(known)}")
        annotation = str(known[name].type)
        if annotation.startswith("tuple[") and isinstance(value, list | tuple):
            element = annotation.removeprefix("tuple[").partition(",")[0]
            right = all(_is_a(_JSON_TYPES[element], v) for v in value) if element in _JSON_TYPES else True
            found[name] = tuple(value)
        elif annotation.startswith("tuple["):
            right = False
        else:
            allowed = _JSON_TYPES.get(annotation.removesuffix(" | None"))
            optional = value is None and annotation.endswith("| None")
            right = allowed is None or optional or _is_a(allowed, value)
        require(right, f"{what}: {name} must be {annotation}, not {value!r}")
    for name, f in known.items():
        needed = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        require(name in values or not needed, f"{what} needs {name!r}")
    return found


def _is_a(allowed: tuple[type, ...], value: object) -> bool:
    """True is an int in Python, but not in a configuration."""
    return isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))
