"""What a service renders is whole and always the same; secrets are only where their daemon reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest

from services.credentials import Secrets
from services.service import Service, template
from tests.variants import VARIANTS, services_of

CHECKOUT = str(Path(__file__).parents[2])
EVERY = pytest.mark.parametrize("variant", VARIANTS)

#: What keeps a daemon in the foreground that would otherwise fork away: an option, or a line of its file.
FOREGROUND = {"named": "-g", "haproxy": "-db", "keepalived": "-n", "nginx": "\ndaemon off;\n"}


def rendered(variant: str, secrets: Secrets) -> Iterator[tuple[Service, str, str, bool]]:
    """(service, path, text, secret) of every file of every host."""
    for _, service in services_of(VARIANTS[variant]):
        for path, file in service.render(secrets).items():
            yield service, path, file.text, file.secret


@EVERY
def test_every_service_of_every_variant_renders_whole_files(variant: str) -> None:
    files = list(rendered(variant, Secrets()))
    assert files
    for service, path, text, _ in files:
        assert path.startswith("/etc/"), f"{service.name}: {path} is no place for a configuration"
        assert text.endswith("\n")
        assert "{{" not in text
        assert "{%" not in text
        assert CHECKOUT not in text, f"{path} names a path of this machine"


@EVERY
def test_the_same_service_and_secrets_give_the_same_text(variant: str) -> None:
    secrets = Secrets()
    assert list(rendered(variant, secrets)) == list(rendered(variant, secrets))


@EVERY
def test_secrets_are_only_in_files_marked_secret_and_in_no_command(variant: str) -> None:
    secrets = Secrets()
    files = list(rendered(variant, secrets))
    assert secrets.confidential
    for text_of_secret in secrets.confidential:
        holders = {path for _, path, text, _ in files if text_of_secret in text}
        assert holders, "a secret that no daemon reads"
        assert holders <= {path for _, path, _, secret in files if secret}
        for _, service in services_of(VARIANTS[variant]):
            for command in (service.command, *service.check(), *service.prepare()):
                assert not any(text_of_secret in word for word in command)


@EVERY
def test_a_secret_file_is_not_for_everybody(variant: str) -> None:
    for _, service in services_of(VARIANTS[variant]):
        for path, file in service.render(Secrets()).items():
            assert not file.secret or file.mode & 0o007 == 0, f"{path} has mode {file.mode:o}"


@EVERY
def test_commands_are_lists_of_words_and_stay_in_the_foreground(variant: str) -> None:
    for _, service in services_of(VARIANTS[variant]):
        for command in (service.command, *service.check(), *service.prepare()):
            assert not isinstance(command, str)
            assert all(isinstance(word, str) and word for word in command)
        texts = [file.text for file in service.render(Secrets()).values()]
        word = FOREGROUND.get(service.name)
        assert word is None or word in service.command or any(word in text for text in texts)


def test_two_runs_share_no_secret() -> None:
    def of_one_run() -> set[str]:
        secrets = Secrets()
        for variant in VARIANTS:
            list(rendered(variant, secrets))
        return {*secrets.confidential, secrets.authority}

    first, second = of_one_run(), of_one_run()
    assert len(first) == len(second) >= 3
    assert not first & second


def test_a_name_that_nobody_gave_is_an_error_and_not_a_gap(tmp_path: Path) -> None:
    (tmp_path / "daemon.conf").write_text("listen {{ service.address }};\n")
    with pytest.raises(jinja2.UndefinedError, match="address"):
        template(tmp_path / "daemon.conf", service=object())
