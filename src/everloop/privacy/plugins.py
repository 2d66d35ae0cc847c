"""Detectors and moderators by the name of their entry point."""

from importlib.metadata import EntryPoint, entry_points

from everloop.errors import Refused
from everloop.policy import PrivacyPolicy
from everloop.privacy.region import Detector, DetectorFactory, Moderate

DETECTORS = "everloop.privacy"
MODERATORS = "everloop.moderation"
_METADATA = "metadata"


def load_detectors(policy: PrivacyPolicy) -> dict[str, Detector]:
    """The policy's detectors by name, in its order.

    Raises `Refused` naming what to install when one is not there: a filter that is demanded is
    never left out.
    """
    return {
        name: _factory(name)(policy) for name in policy.filters if name != _METADATA
    }  # Metadata has no detector: it is gone because the pixels are encoded afresh.


def load_moderators(policy: PrivacyPolicy) -> dict[str, tuple[str, Moderate]]:
    """The policy's moderators by name, each with its version: that of its distribution."""
    found = {}
    for name in policy.moderators:
        point = _point(MODERATORS, name)
        version = point.dist.version if point.dist is not None else "unknown"
        found[name] = (f"{point.value} {version}", point.load())
    return found


def _factory(name: str) -> DetectorFactory:
    factory: DetectorFactory = _point(DETECTORS, name).load()
    return factory


def _point(group: str, name: str) -> EntryPoint:
    installed = {point.name: point for point in entry_points(group=group)}
    if name not in installed:
        told = ", ".join(sorted(installed)) or "none"
        raise Refused(f"no privacy plug-in {name!r} is installed in {group}; installed: {told}")
    return installed[name]
