"""Words, braces and durations: the grammar keepalived.conf and nginx.conf share.

keyword word "quoted word" {      # a newline ends a statement in keepalived, a semicolon in nginx
    keyword word
}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

T = TypeVar("T")


class ConfigError(ValueError):
    """A rendered configuration lacks, or garbles, something a prediction needs. Says which line."""


@dataclass(frozen=True)
class Statement:
    """`words { children }` with the line it began on: the grammar of keepalived and of nginx."""

    line: int
    words: tuple[str, ...]
    children: tuple[Statement, ...] = ()

    def first(self, keyword: str) -> Statement | None:
        return next(self.all(keyword), None)

    def all(self, keyword: str) -> Iterator[Statement]:
        return (child for child in self.children if child.words[0] == keyword)


_UNIT_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration_s(text: str, unit: str) -> float:
    """`250`, `250ms`, `1m30s` in seconds; a bare number counts in `unit`. Raises ConfigError."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d|)", text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise ConfigError(f"{text!r} is not a duration")
    return sum(float(number) * _UNIT_S[u or unit] for number, u in parts)


def tree(text: str, comment: str, ends: str, what: str) -> Statement:
    """Words and braces into nested statements. `ends` closes a statement: a newline, or a semicolon."""
    token = re.compile(
        rf"(?P<comment>{comment})|\"([^\"]*)\"|'([^']*)'|([{{}};\n])|([^\s{{}};\"']+)|[^\S\n]+"
    )
    line, stack, words, began = 1, [(Statement(0, (what,)), list[Statement]())], list[str](), 1
    for match in token.finditer(text):
        mark = match[4] or ""
        if (mark == ends or mark == "}") and words:
            stack[-1][1].append(Statement(began, tuple(words)))
            words = []
        if mark == "{":
            if not words and stack[-1][1]:  # the brace on a line of its own
                words = list(stack[-1][1].pop().words)
            stack.append((Statement(began, tuple(words or ("",))), []))
            words = []
        elif mark == "}":
            if len(stack) == 1:
                raise ConfigError(f"{what} line {line}: a brace closes nothing")
            head, children = stack.pop()
            stack[-1][1].append(replace(head, children=tuple(children)))
        word = next((match[i] for i in (2, 3, 5) if match[i] is not None), None)
        if word is not None:
            began = began if words else line
            words.append(word)
        line += match[0].count("\n")
    if len(stack) > 1:
        raise ConfigError(f"{what} line {stack[-1][0].line}: {' '.join(stack[-1][0].words)} is never closed")
    if words:
        stack[0][1].append(Statement(began, tuple(words)))
    return replace(stack[0][0], children=tuple(stack[0][1]))


def argument(statement: Statement) -> str:
    if len(statement.words) < 2:
        raise ConfigError(f"line {statement.line}: {statement.words[0]} needs a value")
    return statement.words[1]


def setting(block: Statement, keyword: str, read: Callable[[str], T], default: T) -> T:
    statement = block.first(keyword)
    if statement is None:
        return default
    try:
        return read(argument(statement))
    except ValueError as error:
        raise ConfigError(f"line {statement.line}: {' '.join(statement.words)}: {error}") from error


def everywhere(block: Statement, keyword: str) -> Iterator[Statement]:
    for statement in block.children:
        if statement.words[0] == keyword:
            yield statement
        yield from everywhere(statement, keyword)
