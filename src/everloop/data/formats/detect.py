"""Which format a source is in: named by the user, or told from a first look at it."""

from collections.abc import Mapping
from importlib.metadata import entry_points

from everloop.data.formats.format import Fit, Format, Wanted
from everloop.data.formats.sketch import Sketch
from everloop.errors import Refused

GROUP = "everloop.formats"


def installed() -> Mapping[str, Format]:
    """Every format by its name, third parties' among them."""
    return {point.name: point.load()() for point in sorted(entry_points(group=GROUP))}


def by_name(name: str) -> Format:
    """A format; `Refused` naming the installed ones when there is none of that name."""
    for point in entry_points(group=GROUP):
        if point.name == name:
            made: Format = point.load()()
            return made
    told = ", ".join(sorted(point.name for point in entry_points(group=GROUP)))
    raise Refused(f"no format {name!r} is installed; installed: {told}")


def detect(sketch: Sketch, wanted: Wanted, source: str) -> tuple[Format, str]:
    """The one format that a source is in, and why.

    Raises `Refused` listing the candidates with their reasons when there are several, and the
    formats there are when there is none.
    """
    fitting: dict[str, tuple[Format, Fit]] = {}
    for name, made in installed().items():
        if (fit := made.fits(sketch, wanted)) is not None:
            fitting[name] = made, fit
    sure = {name: found for name, found in fitting.items() if found[1].sure}
    candidates = sure or fitting
    if len(candidates) == 1:
        ((made, fit),) = candidates.values()
        return made, fit.why
    if not candidates:
        told = ", ".join(sorted(installed()))
        raise Refused(
            f"{source} is in none of the formats that a product of this task can use; "
            f"there are: {told}"
        )
    listed = "; ".join(f"{name} ({fit.why})" for name, (_, fit) in sorted(candidates.items()))
    raise Refused(f"{source} may be in several formats; name one with --format: {listed}")
