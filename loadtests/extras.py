"""What every scenario can do beside its requests: be recorded, shaped, bounded, and show its stage."""

from __future__ import annotations

from functools import cache

import bounds
import recording
import shaping
import stage_tab_option


@cache
def install() -> None:
    """Once for a process, however many scenarios are loaded together."""
    for extra in (recording, shaping, bounds, stage_tab_option):
        extra.install()
