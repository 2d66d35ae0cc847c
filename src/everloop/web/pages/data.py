"""Data: snapshots, growth, balance, what was set aside, and one sample with its picture.

Pictures are sent small and encoded afresh: of the originals to an administrator, to everybody else
of the renditions that labellers may see as well.
"""

import io
from collections import Counter
from collections.abc import Sequence, Set

from everloop.data.owner import owner_only
from everloop.data.snapshots import Snapshot
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.loop.review import history
from everloop.privacy.render import decode
from everloop.web.asked import Answer, Asked, mapping, nothing_there
from everloop.web.drawing import page
from everloop.web.views.data import data_view
from everloop_runtime.problems import Problem

_SIDE, _LARGE = 160, 800
_HOUR = "private, max-age=3600"


def show(asked: Asked) -> Answer:
    """What there is, how it grew, and what could not be taken in."""
    data = asked.project.data
    snapshots = data.snapshots.list()
    counts = data.labelled_counts()
    view = data_view(
        samples=data.samples.count(),
        labelled={"train": counts.train, "holdout": counts.holdout},
        snapshots=data.snapshots.described(*snapshots),
        balance=_balance(snapshots[-1]) if snapshots else {},
        quarantine=data.quarantine.standing(),
    )
    return page(asked, "data.html", title="Data", view=view)


def show_sample(asked: Asked) -> Answer:
    """One sample: where it stands, and all that was ever said of it."""
    project = asked.project
    sample = find_sample(asked)
    return page(
        asked,
        "sample.html",
        title=f"Sample {sample[:8]}",
        sample=sample,
        name=project.data.samples.name_of(sample),
        place=project.data.samples.places([sample])[sample],
        history=history(project, sample),
        standing=project.data.annotations.standing([sample]).get(sample),
        pictures=pictures(asked, [sample]),
    )


def thumbnail(asked: Asked) -> Answer:
    """A small picture of a sample, encoded afresh: pixels, and nothing else of the file.

    Of the original for whom it belongs to; everybody else gets what the privacy policy lets out.
    """
    return _picture(asked, _SIDE)


def picture(asked: Asked) -> Answer:
    """The same, large enough to judge it."""
    return _picture(asked, _LARGE)


def _picture(asked: Asked, side: int) -> Answer:
    project, sample = asked.project, find_sample(asked)
    if asked.who.role == "administrator":
        (shown,) = owner_only(project.data.samples, [sample])
    else:
        shown = _rendition(asked, sample)
    try:
        data = _small(shown, asked, side)
    except Refused as error:
        raise Problem(415, f"this sample is no picture: {error}", "see its page") from error
    headers = {"Cache-Control": _HOUR, "Content-Security-Policy": "sandbox"}
    return Answer(data, b"image/png", headers=headers)


def _small(picture: bytes, asked: Asked, side: int) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(decode(picture, asked.project.limits, side)).save(out, "PNG")
    return out.getvalue()


def pictures(asked: Asked, samples: Sequence[SampleId]) -> Set[SampleId] | None:
    """Those samples whose pictures this person may see; None where samples are no pictures."""
    project = asked.project
    if project.declaration.task.modality != "image":
        return None
    if asked.who.role == "administrator":
        return frozenset(samples)
    return project.clearances.cleared(samples, project.rules.version).keys()


def _rendition(asked: Asked, sample: SampleId) -> bytes:
    project = asked.project
    cleared = project.clearances.cleared([sample], project.rules.version)
    if sample not in cleared:
        raise Problem(403, "this picture is not cleared", "its privacy policy has not seen it yet")
    return project.data.renditions.read(cleared[sample].rendition)


def find_sample(asked: Asked) -> SampleId:
    """The sample of the address; 404 where this product has none of that name."""
    sample = SampleId(asked.named["sample"])
    if not asked.project.data.samples.places([sample]):
        raise nothing_there(f"sample {sample[:64]!r} in this product")
    return sample


def _balance(snapshot: Snapshot) -> Counter[str]:
    counts: Counter[str] = Counter()
    for side in mapping(snapshot.manifest.get("counts")).values():
        counts.update({str(label): int(count) for label, count in mapping(side).items()})
    return counts
