"""What every `privacy.Detector` must do."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from everloop.policy import PrivacyPolicy
from everloop.privacy.region import Detector, Region


class DetectorContract:
    """Subclass it, override `detector` and `picture`, and let pytest collect the subclass."""

    def detector(self, policy: PrivacyPolicy) -> Detector:
        """A new detector under a policy, as each worker makes one."""
        raise NotImplementedError

    def picture(self) -> tuple[NDArray[np.uint8], Region]:
        """A picture, `[height, width, 3]`, and the one region in it that must be found."""
        raise NotImplementedError

    def test_it_covers_what_is_there(self) -> None:
        pixels, wanted = self.picture()
        mask = _mask(pixels, self.detector(PrivacyPolicy()).detect(pixels))
        inside = _mask(pixels, [wanted])
        assert mask[inside].mean() > 0.9
        assert mask[~inside].mean() < 0.5, "it covers most of what it should not"

    def test_a_region_tells_what_it_is_and_how_sure(self) -> None:
        pixels, _ = self.picture()
        found = self.detector(PrivacyPolicy()).detect(pixels)
        assert found
        for region in found:
            assert region.kind and region.width > 0 and region.height > 0
            assert 0 <= region.score <= 1
            assert all(isinstance(v, int) for v in (region.left, region.top, region.width))

    def test_the_picture_stays_as_it_is(self) -> None:
        pixels, _ = self.picture()
        before = pixels.copy()
        pixels.setflags(write=False)
        self.detector(PrivacyPolicy()).detect(pixels)
        assert (pixels == before).all()

    def test_the_same_picture_gives_the_same_regions(self) -> None:
        pixels, _ = self.picture()
        first = self.detector(PrivacyPolicy()).detect(pixels)
        assert self.detector(PrivacyPolicy()).detect(pixels) == first

    def test_nothing_is_found_where_nothing_is(self) -> None:
        detector = self.detector(PrivacyPolicy())
        for side in (1, 7, 200):
            assert list(detector.detect(np.full((side, 2 * side, 3), 127, np.uint8))) == []

    def test_its_version_is_told_before_any_picture_and_lasts(self) -> None:
        versions = {self.detector(PrivacyPolicy()).version for _ in range(2)}
        assert len(versions) == 1 and all(versions)


def _mask(pixels: NDArray[np.uint8], regions: Sequence[Region]) -> NDArray[np.bool_]:
    mask = np.zeros(pixels.shape[:2], bool)
    for r in regions:
        mask[
            max(r.top, 0) : max(r.top + r.height, 0), max(r.left, 0) : max(r.left + r.width, 0)
        ] = True
    return mask
