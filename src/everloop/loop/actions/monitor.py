"""Compare one window of the champion's answers with the reference in its bundle."""

from everloop.action import Action, Outcome
from everloop.errors import Refused
from everloop.ids import BundleId
from everloop.loop.project import Project, Turn
from everloop.loop.watching import figures_of, limits_of, merge_sketches, watched
from everloop.loop.windows import beside
from everloop.monitoring.signal import judge_window


def monitor(project: Project, turn: Turn, action: Action) -> Outcome:
    """The window's signal: what each signal finds, and whether the change is harm."""
    bundle = BundleId(str(action.inputs["bundle"]))
    index, size = int(str(action.inputs["window"])), int(str(action.inputs["size"]))
    window = project.data.predictions.window(bundle, index * size, size)
    if len(window.ids) < size:
        raise Refused(f"window {index} has {len(window.ids)} of its {size} answers")
    of = watched(project, bundle)
    found = of.watch.see(
        window.values, window.embeddings, figures_of(project, window.samples, of.spec)
    )
    signal = judge_window(of.watch, window, found, index, limits_of(project))
    project.data.sketches.roll(bundle, merge_sketches, turn.now)
    told = beside(project, of.watch, signal, size, bundle)
    return Outcome(final=True, result=told.as_json())
