"""Pictures of a search: its history, which parameters matter, and where the good points lie."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from everloop.tuning.study import Study

_FEWEST = 2
"""Trials that came to their end, below which there is nothing to see."""


def draw(study: Study, folder: Path) -> dict[str, Path]:
    """The pictures as PNG files in `folder`, by what they show; those that make no sense left out.

    None without two trials that came to their end; no importance where all are equally good.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from optuna.trial import TrialState

    whole = [one for one in study.trials() if one.state == TrialState.COMPLETE]
    if len(whole) < _FEWEST:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Path] = {}
    for name, plot in _plots(study.plan.metric).items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                plot(study.optuna)
                figure = pyplot.gcf()
                figure.set_size_inches(9, 5)
                figure.tight_layout()
                figure.savefig(folder / f"{name}.png", dpi=120)
        except (RuntimeError, ValueError):
            # Optuna says so where a picture makes no sense: one value of all, one parameter.
            continue
        finally:
            pyplot.close("all")
        found[name] = folder / f"{name}.png"
    return found


def _plots(metric: str) -> Mapping[str, Callable[[Any], Any]]:
    from optuna.importance import PedAnovaImportanceEvaluator
    from optuna.visualization import matplotlib as plots

    return {
        "history": lambda study: plots.plot_optimization_history(study, target_name=metric),
        "importance": lambda study: plots.plot_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(), target_name=metric
        ),
        "parallel": lambda study: plots.plot_parallel_coordinate(study, target_name=metric),
        "slices": lambda study: plots.plot_slice(study, target_name=metric),
    }
