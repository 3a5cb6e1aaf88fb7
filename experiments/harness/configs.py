"""What a prediction needs to know, read back from the very files the daemons are given.

    keepalived.conf ──► Keepalived (scripts, instances)
    haproxy.cfg     ──► HAProxy (backends, servers, timeouts; `defaults` and `default-server` applied)
    nginx.conf      ──► NginxUpstream (servers, proxy timeouts)

Defaults are the daemons' own: keepalived.conf(5), HAProxy's Configuration Manual §4 and §5, nginx's
ngx_http_upstream_module and ngx_http_proxy_module. What is not needed is skipped: daemons check syntax.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

from experiments.harness.blocks import ConfigError, Statement, argument, duration_s, everywhere, setting, tree


@dataclass(frozen=True)
class VrrpScript:
    name: str
    command: str
    interval_s: float = 1.0
    timeout_s: float = 1.0  # keepalived: the interval, unless given
    fall: int = 1
    rise: int = 1
    weight: int = 0  # 0: failing means FAULT; otherwise it only changes the priority
    init_fail: bool = False


@dataclass(frozen=True)
class VrrpInstance:
    name: str
    state: str
    interface: str
    virtual_router_id: int
    priority: int
    advert_int_s: float
    version: int
    addresses: tuple[str, ...]  # without prefix length
    tracked: tuple[VrrpScript, ...] = ()
    nopreempt: bool = False


@dataclass(frozen=True)
class Keepalived:
    vrrp_version: int
    scripts: tuple[VrrpScript, ...]
    instances: tuple[VrrpInstance, ...]

    def instance_of(self, vip: str) -> VrrpInstance | None:
        return next((i for i in self.instances if vip in i.addresses), None)


@dataclass(frozen=True)
class HAProxyServer:
    name: str
    address: str
    port: int | None
    check: bool = False
    inter_s: float = 2.0
    fastinter_s: float | None = None  # None: inter
    downinter_s: float | None = None  # None: inter
    fall: int = 3
    rise: int = 2
    observe: str | None = None


@dataclass(frozen=True)
class Backend:
    """`redispatch`: None off, -1 on the last retry (plain `option redispatch`), n on every n-th."""

    name: str
    balance: str = "roundrobin"
    redispatch: int | None = None
    retries: int = 3
    httpchk: bool = False
    timeout_connect_s: float | None = None
    timeout_client_s: float | None = None
    timeout_server_s: float | None = None
    timeout_check_s: float | None = None
    servers: tuple[HAProxyServer, ...] = ()


@dataclass(frozen=True)
class HAProxy:
    backends: tuple[Backend, ...]

    def backend_of(self, server: str) -> Backend | None:
        return next((b for b in self.backends for s in b.servers if s.name == server), None)


@dataclass(frozen=True)
class NginxServer:
    address: str
    max_fails: int = 1
    fail_timeout_s: float = 10.0
    backup: bool = False


@dataclass(frozen=True)
class NginxUpstream:
    name: str
    servers: tuple[NginxServer, ...]
    keepalive: int = 0  # idle connections each worker keeps to the upstream
    connect_timeout_s: float = 60.0
    read_timeout_s: float = 60.0
    next_upstream: tuple[str, ...] = ("error", "timeout")


D = TypeVar("D", Backend, HAProxyServer)
Settings: TypeAlias = Mapping[str, tuple[str, ...]]  # nginx: directive → its arguments

# --- keepalived -----------------------------------------------------------------------------------------


def parse_keepalived(text: str) -> Keepalived:
    """Raises ConfigError: an instance without interface or virtual_router_id, or an unknown script."""
    root = tree(text, r"[#!][^\n]*", ends="\n", what="keepalived.conf")
    vrrp_version = 2  # keepalived.conf(5), vrrp_version
    for block in root.all("global_defs"):
        vrrp_version = setting(block, "vrrp_version", int, vrrp_version)
    scripts = {script.name: script for script in map(_vrrp_script, root.all("vrrp_script"))}
    instances = tuple(_vrrp_instance(s, vrrp_version, scripts) for s in root.all("vrrp_instance"))
    return Keepalived(vrrp_version, tuple(scripts.values()), instances)


def _vrrp_script(block: Statement) -> VrrpScript:
    interval_s = setting(block, "interval", float, 1.0)
    return VrrpScript(
        name=argument(block),
        command=setting(block, "script", str, ""),
        interval_s=interval_s,
        timeout_s=setting(block, "timeout", float, interval_s),
        fall=setting(block, "fall", int, 1),
        rise=setting(block, "rise", int, 1),
        weight=setting(block, "weight", int, 0),
        init_fail=block.first("init_fail") is not None,
    )


def _vrrp_instance(block: Statement, version: int, scripts: Mapping[str, VrrpScript]) -> VrrpInstance:
    where = f"keepalived.conf line {block.line}: vrrp_instance {argument(block)}"
    tracked = []
    for entry in (entry for listed in block.all("track_script") for entry in listed.children):
        if entry.words[0] not in scripts:
            raise ConfigError(f"{where} tracks {entry.words[0]}, which no vrrp_script defines")
        script = scripts[entry.words[0]]
        if entry.words[1:2] == ("weight",):
            script = replace(script, weight=int(entry.words[2]))
        tracked.append(script)
    for required in ("interface", "virtual_router_id"):
        if block.first(required) is None:
            raise ConfigError(f"{where} has no {required}")
    return VrrpInstance(
        name=argument(block),
        state=setting(block, "state", str, "BACKUP"),
        interface=setting(block, "interface", str, ""),
        virtual_router_id=setting(block, "virtual_router_id", int, 0),
        priority=setting(block, "priority", int, 100),
        advert_int_s=setting(block, "advert_int", float, 1.0),
        version=setting(block, "version", int, version),
        addresses=tuple(
            entry.words[0].partition("/")[0] for b in block.all("virtual_ipaddress") for entry in b.children
        ),
        tracked=tuple(tracked),
        nopreempt=block.first("nopreempt") is not None,
    )


# --- HAProxy --------------------------------------------------------------------------------------------

_SECTIONS = ("global", "defaults", "frontend", "backend", "listen")
_OTHER_SECTIONS = ("userlist", "peers", "resolvers", "mailers", "program", "cache", "ring", "http-errors")


@dataclass
class _Proxy:
    """A section while it is read, and what `default-server` gives its servers."""

    backend: Backend
    template: HAProxyServer = field(default_factory=lambda: HAProxyServer("", "", None))


def parse_haproxy(text: str) -> HAProxy:
    """Backends and `listen` sections, each with the settings of the `defaults` above it.

    Raises ConfigError for a server without an address, a bad duration, or unbalanced quotes.
    """
    defaults, current, found = _Proxy(Backend("")), None, list[_Proxy]()
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            words = shlex.split(line, comments=True) or [""]
            if words[0] in _SECTIONS + _OTHER_SECTIONS:
                current = _section(words, defaults)
                if words[0] == "defaults":
                    defaults = current = _Proxy(Backend(""))
                elif words[0] in ("backend", "listen"):
                    found.append(current)
            elif current is not None:
                _setting(words, current)
        except (ValueError, IndexError) as error:
            raise ConfigError(f"haproxy.cfg line {number}: {line.strip()!r}: {error}") from error
    return HAProxy(tuple(proxy.backend for proxy in found))


def _section(words: Sequence[str], defaults: _Proxy) -> _Proxy:
    name = words[1] if len(words) > 1 else ""
    return _Proxy(replace(defaults.backend, name=name, servers=()), defaults.template)


def _setting(words: Sequence[str], proxy: _Proxy) -> None:
    backend, on = proxy.backend, words[0] != "no"
    match list(words) if on else list(words[1:]):
        case ["balance", algorithm, *_]:
            proxy.backend = replace(backend, balance=algorithm)
        case ["retries", count, *_]:
            proxy.backend = replace(backend, retries=int(count))
        case ["timeout", "connect" | "client" | "server" | "check" as which, value, *_]:
            proxy.backend = _with(backend, f"timeout_{which}_s", duration_s(value, "ms"))
        case ["option", "redispatch", *interval]:
            every = int(interval[0]) if interval else -1
            proxy.backend = replace(backend, redispatch=every if on else None)
        case ["option", "httpchk", *_]:
            proxy.backend = replace(backend, httpchk=on)
        case ["default-server", *options]:
            proxy.template = _server_options(proxy.template, options)
        case ["server", name, where, *options]:
            address, _, port = where.rpartition(":") if ":" in where and "/" not in where else (where, "", "")
            server = replace(proxy.template, name=name, address=address, port=int(port) if port else None)
            proxy.backend = replace(backend, servers=(*backend.servers, _server_options(server, options)))
        case ["server", *_]:
            raise ValueError("a server needs a name and an address")


def _server_options(server: HAProxyServer, options: Sequence[str]) -> HAProxyServer:
    rest = iter(options)
    for option in rest:
        if option in ("inter", "fastinter", "downinter"):
            server = _with(server, f"{option}_s", duration_s(next(rest, ""), "ms"))
        elif option in ("fall", "rise"):
            server = _with(server, option, int(next(rest, "")))
        elif option == "observe":
            server = replace(server, observe=next(rest, ""))
        elif option in ("check", "no-check"):
            server = replace(server, check=option == "check")
    return server


# --- nginx ----------------------------------------------------------------------------------------------


def parse_nginx_upstreams(text: str) -> tuple[NginxUpstream, ...]:
    """Every `upstream`, with the proxy settings in force where it is passed to (http, server, location)."""
    root = tree(text, r"#[^\n]*", ends=";", what="nginx.conf")
    passed = dict(_proxied(root, {}))
    found = []
    for block in everywhere(root, "upstream"):
        settings = passed.get(argument(block), {})
        keepalive = block.first("keepalive")
        found.append(
            NginxUpstream(
                name=argument(block),
                servers=tuple(map(_nginx_server, block.all("server"))),
                keepalive=int(argument(keepalive)) if keepalive else 0,
                connect_timeout_s=duration_s(settings.get("proxy_connect_timeout", ("60s",))[0], "s"),
                read_timeout_s=duration_s(settings.get("proxy_read_timeout", ("60s",))[0], "s"),
                next_upstream=settings.get("proxy_next_upstream", ("error", "timeout")),
            )
        )
    return tuple(found)


def _nginx_server(statement: Statement) -> NginxServer:
    options = dict(word.partition("=")[::2] for word in statement.words[2:])
    return NginxServer(
        address=argument(statement),
        max_fails=int(options.get("max_fails", "1")),
        fail_timeout_s=duration_s(options.get("fail_timeout", "10s"), "s"),
        backup="backup" in options,
    )


def _proxied(block: Statement, outer: Settings) -> Iterator[tuple[str, Settings]]:
    """(upstream, proxy_* settings) of every proxy_pass; an inner block overrides the outer ones."""
    own = {s.words[0]: s.words[1:] for s in block.children if s.words[0].startswith("proxy_")}
    settings = {**outer, **own}
    for statement in block.children:
        if statement.words[0] == "proxy_pass":
            yield re.sub(r"^\w+://|/.*$", "", argument(statement)), settings
        yield from _proxied(statement, settings)


def _with(value: D, name: str, setting: Any) -> D:
    changed: dict[str, Any] = {name: setting}
    return replace(value, **changed)
