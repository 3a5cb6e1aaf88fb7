"""The three figures of a run, and how they are saved. Import it late: it brings Matplotlib with it.

failover.svg    one trial on one time axis: every probe, who served, what happened, the bracket
trials.svg      all trials against the prediction
classroom.svg   the same outage as Locust shows it, and as it was
"""

from __future__ import annotations

from experiments.harness.figure_classroom import draw_classroom
from experiments.harness.figure_failover import draw_failover
from experiments.harness.figure_style import save
from experiments.harness.figure_trials import draw_trials

__all__ = ["draw_classroom", "draw_failover", "draw_trials", "save"]
