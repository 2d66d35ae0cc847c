"""Curves of runs as a picture in a file."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from everloop.errors import Refused

Curve = Sequence[tuple[int, float]]
_FORMATS = (".png", ".svg", ".pdf")
_ACROSS = 3


def save_curves(runs: Mapping[str, Mapping[str, Curve]], file: Path) -> None:
    """One panel a metric, one line a run. `Refused` without curves or without matplotlib."""
    names = sorted({name for curves in runs.values() for name in curves})
    if not names:
        raise Refused(f"{', '.join(runs)}: no figure was logged; run.log(step, loss=...) does")
    if file.suffix not in _FORMATS:
        raise Refused(f"{file}: a name that ends in {', '.join(_FORMATS)} is wanted")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Refused("plots need matplotlib: pip install 'everloop[demo]'") from error
    across = min(_ACROSS, len(names))
    down = math.ceil(len(names) / across)
    figure = Figure(figsize=(5.0 * across, 3.4 * down), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for panel, name in zip(panels, names, strict=False):
        for run, curves in runs.items():
            curve = curves.get(name, ())
            panel.plot([s for s, _ in curve], [v for _, v in curve], label=run, linewidth=1.4)
        panel.set_title(name)
        panel.set_xlabel("step")
        panel.grid(alpha=0.3)
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    figure.axes[0].legend(fontsize="small")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)
