"""The one list of stages."""

from __future__ import annotations

from topologies.stage import Stage
from topologies.stage0_simple import Stage0
from topologies.stage1_distributed import Stage1
from topologies.stage2_secured import Stage2
from topologies.stage3_scaleup import Stage3

STAGES: dict[str, type[Stage]] = {stage.number: stage for stage in (Stage0, Stage1, Stage2, Stage3)}
