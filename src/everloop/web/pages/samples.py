"""Labelled samples looked through: by label and by what a model said of them in the hold-out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from everloop.data.catalogue.chosen import Chosen
from everloop.errors import Refused
from everloop.ids import BundleId, SampleId
from everloop.loop.measured import Answered, Measured, Sought, measured, takes_long
from everloop.web.asked import Answer, Asked, figure_of
from everloop.web.drawing import page
from everloop.web.pages.data import pictures
from everloop.web.views.data import Tile, tiles
from everloop.web.views.samples import address, chosen_of, sought_of

_TILES = 48
_AT_ONCE = 500
_PASSED = 5_000
"""Of the hold-out, so many are looked at for one page."""


@dataclass(frozen=True, slots=True)
class _Found:
    """One page, and after which number the next one begins."""

    tiles: Sequence[Tile]
    following: int | None


def show(asked: Asked) -> Answer:
    """One page of labelled samples; the next begins after the last one's number."""
    chosen, sought = chosen_of(asked), sought_of(asked)
    after = figure_of(asked.argument("after"))
    bundle = _asked_about(asked)
    is_asked_for = bool(asked.argument("model")) or sought != Sought()
    waits = bundle is not None and not is_asked_for and takes_long(asked.project, bundle)
    answers = None if bundle is None or waits else _measured(asked, bundle)
    if sought == Sought():
        found = _labelled(asked, chosen, after)
    elif answers is None:
        found = _Found((), None)
    else:
        found = _in_hold_out(asked, answers, chosen, sought, after)
    return page(
        asked, "samples.html", title="Samples", found=found, chosen=chosen, sought=sought,
        bundle=bundle, waits=waits, slices=() if answers is None else answers.slices,
        pictures=pictures(asked, [tile.id for tile in found.tiles]),
        since=asked.argument("since"), until=asked.argument("until"),
        classes=asked.project.declaration.task.classes, is_asked=bool(asked.query),
        first=address(asked) if after else None,
        following=None if found.following is None else address(asked, after=found.following),
    )  # fmt: skip


def _asked_about(asked: Asked) -> BundleId | None:
    """The model whose answers are looked at: the one that is named, else the live one."""
    named = asked.argument("model")
    return BundleId(named) if named else asked.world().release.champion


def _measured(asked: Asked, bundle: BundleId) -> Measured | None:
    try:
        return measured(asked.project, bundle)
    except Refused:
        # What was measured once may be gone since; labels can be looked through without it.
        return None


def _labelled(asked: Asked, chosen: Chosen, after: int) -> _Found:
    data = asked.project.data
    found, following = data.catalogue.chosen(chosen, after, _TILES)
    ids = [sample for _, sample in found]
    standing, places = data.annotations.standing(ids), data.samples.places(ids)
    return _Found(tiles(found, standing, places), following)


def _in_hold_out(
    asked: Asked, answers: Measured, chosen: Chosen, sought: Sought, after: int
) -> _Found:
    """Those of the hold-out that fit, with what the model said of them."""
    shown = list[Tile]()
    rows = islice(answers.after(sought, after), _PASSED)
    last = None
    while len(shown) < _TILES and (part := list(islice(rows, _AT_ONCE))):
        for each, tile in _tiles(asked, chosen, part):
            shown.append(tile)
            last = each.row
            if len(shown) == _TILES:
                break
        else:
            last = part[-1].row
    beyond = None if last is None else next(answers.after(sought, last + 1), None)
    return _Found(shown, None if beyond is None else beyond.row)


def _tiles(
    asked: Asked, chosen: Chosen, part: Sequence[Answered]
) -> Iterator[tuple[Answered, Tile]]:
    """A tile of each that fits. Whose label is gone, or who was forgotten, is left out."""
    data, ids = asked.project.data, [each.sample for each in part]
    standing, places = data.annotations.standing(ids), data.samples.places(ids)
    by_id = {each.sample: each for each in part}
    fitting: list[tuple[int, SampleId]] = [
        (each.row, each.sample)
        for each in part
        if (said := standing.get(each.sample)) is not None
        and (place := places.get(each.sample)) is not None
        and chosen.fits(said.label, place.side, place.origin, said.by, said.at)
    ]
    for tile in tiles(fitting, standing, places, by_id):
        yield by_id[tile.id], tile
