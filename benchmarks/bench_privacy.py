"""Recall, precision and speed of the privacy filters on pictures made for it.

Usage: python benchmarks/bench_privacy.py [--count N] [--without FOLDER]

`--without`: a folder of pictures that show no person, for false alarms. Speed is processor time
of one core a picture; the figures of docs/privacy.md are this program's.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from made_privacy import (
    NAMES,
    crop_pictures,
    empty_pictures,
    portrait_pictures,
    text_pictures,
)

from everloop.policy import PrivacyPolicy
from everloop.privacy.measure import Figures, Marked, measure_pictures
from everloop_runtime.images import DEFAULT_LIMITS

Pictures = Iterator[tuple[bytes, list[Marked]]]


def main() -> None:
    """Measure and print one table a filter."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--without", type=Path)
    asked = parser.parse_args()
    others = sorted(asked.without.rglob("*.jpg"))[::7] if asked.without else []
    faces = PrivacyPolicy.model_validate({"filters": ["metadata", "faces"]})
    text = PrivacyPolicy.model_validate(
        {"filters": ["metadata", "text"], "text": {"names": list(NAMES)}}
    )
    count = asked.count
    print(f"{'filter':8}{'pictures':28}{'n':>5}{'recall':>16}{'right':>14}{'s a picture':>13}")
    _print("faces", "portraits", portrait_pictures(4 * count), faces)
    _print("faces", "crops, 32 to 110 pixels", crop_pictures(count), faces)
    _print("faces", "nobody", empty_pictures(5 * count, others), faces)
    _print("text", "plain", text_pictures(count, hard=False), text)
    _print("text", "photo, noise, leaning", text_pictures(count, hard=True), text)
    _print("text", "no text put there", empty_pictures(count, others), text)


def _print(name: str, what: str, pictures: Pictures, policy: PrivacyPolicy) -> None:
    figures = measure_pictures(pictures, policy, DEFAULT_LIMITS)
    if not figures.pictures:
        print(f"{name:8}{what:28}    - (scikit-image, which has them, is not installed)")
        return
    print(
        f"{name:8}{what:28}{figures.pictures:5}{_recall(figures):>16}"
        f"{figures.right:>8} of {figures.regions:<4}"
        f"{figures.seconds / figures.pictures:11.2f}"
    )
    for kind, each in sorted(figures.kinds.items()):
        if len(figures.kinds) > 1:
            print(f"{'':8}  {kind:26}{each.marked:5}{each.recall:16.3f}")


def _recall(figures: Figures) -> str:
    if figures.recall is None:
        return "-"
    marked = sum(kind.marked for kind in figures.kinds.values())
    return f"{figures.recall:.3f} of {marked}"


if __name__ == "__main__":
    main()
