"""Compare one window of the champion's answers with the reference in its bundle."""

from everloop.action import Action, Outcome
from everloop.errors import Refused
from everloop.ids import BundleId
from everloop.loop.project import Project, Turn
from everloop.monitoring.reference import read_reference
from everloop.monitoring.signal import judge_window
from everloop.tasks.task import learnable
from everloop_runtime.bundle import open_bundle


def monitor(project: Project, _turn: Turn, action: Action) -> Outcome:
    """The window's signal: drift, estimated accuracy, and whether it is harm."""
    bundle = BundleId(str(action.inputs["bundle"]))
    index, size = int(str(action.inputs["window"])), int(str(action.inputs["size"]))
    window = project.data.predictions.window(bundle, index * size, size)
    if len(window.ids) < size:
        raise Refused(f"window {index} has {len(window.ids)} of its {size} answers")
    reference = read_reference(open_bundle(project.layout.bundles / bundle).read("reference.npz"))
    policy = project.policy.monitor
    signal = judge_window(
        reference,
        window,
        learnable(project.declaration.task),
        index=index,
        false_alarm_rate=policy.false_alarm_rate,
        harm=policy.harm,
    )
    return Outcome(final=True, result=signal.as_json())
