"""Whole streams of windows: what stays silent, what is told, and what counts as harm."""

import numpy as np
import pytest
from tests.support.streets import Street, files_of, judged, street_watch

from everloop.monitoring.signals.concept import concept_drift
from everloop.monitoring.watch import Watch

RATE = 0.01
"""As the policy has it."""


@pytest.fixture(scope="module")
def watch() -> Watch:
    return street_watch(count=600)


def test_a_stream_with_hardly_any_drift_and_late_labels_stays_silent(watch: Watch) -> None:
    errors: list[bool] = []
    held = watch.reference.correct
    for number in range(12):
        street = Street(300 + number, 100, apart=30 - number / 12)
        found = judged(watch, street, RATE)
        assert found["harm"].level == "calm", number
        assert all(finding.level != "alarm" for finding in found.values()), number
        # The labels of a window come when the next ones are over.
        errors += (street.answers()[0].argmax(axis=1) != street.labels).tolist()
        known = errors[: 100 * max(0, number - 2)]
        told, _ = concept_drift(known, int(held.sum()), len(held), RATE / 100, input_changed=False)
        assert told.level == "calm", number


def test_seasons_of_the_classes_are_told_each_time_and_are_never_harm(watch: Watch) -> None:
    told = []
    for number in range(12):
        season = float(np.sin(number * np.pi / 3))
        shares = (1 + 0.9 * season, 1.0, 1 - 0.9 * season)
        found = judged(watch, Street(400 + number, 200, shares=shares), RATE)
        assert found["harm"].level != "alarm", number
        told.append((abs(season) > 0.5, found["label-shift"].level == "note"))
    # In season the shares are other ones, out of season they are not.
    assert told == [(season, season) for season, _ in told]


def test_where_one_of_two_cameras_fails_its_pictures_are_the_telling_ones(watch: Watch) -> None:
    for number in range(4):
        street = Street(500 + number, 200)
        # The second camera takes every other picture; from the third window on its lens is fogged.
        if number >= 2:
            street.pictures[1::2] = 120 + street.pictures[1::2] // 3
        found = judged(watch, street, RATE)
        assert (found["input-drift"].level == "note") == (number >= 2), number
        if number >= 2:
            of_second = [int(name[1:]) % 2 for name in found["input-drift"].samples]
            assert np.mean(of_second) > 0.8, of_second


def test_where_requests_name_their_camera_the_one_that_fails_is_told_by_name(watch: Watch) -> None:
    cameras = ("north", "south", "east", "west")
    for number in range(6):
        street = Street(600 + number, 200)
        # From the fourth window on the south camera's lens is fogged.
        if number >= 3:
            street.pictures[1::4] = 120 + street.pictures[1::4] // 3
        told = judged(watch, street, RATE, cameras)["slices"]
        if number < 3:
            assert told.level == "calm", (number, told)
            continue
        assert told.slice == "key=south", (number, told)
        assert {int(name[1:]) % 4 for name in told.samples} == {1}, told
        assert "in 50 of 200 answers" in told.summary


def test_without_a_change_slices_are_told_as_rarely_as_stated(watch: Watch) -> None:
    told = [
        judged(watch, Street(5000 + number, 120), 0.05, ("a", "b", "c"))["slices"].level
        for number in range(60)
    ]
    # Binomial with 60 windows at 0.05: more than 9 come once in two thousand times.
    assert 60 - told.count("calm") <= 9
    assert judged(watch, Street(1, 120), 0.05, ("a",))["slices"].summary.startswith("no two keys")


def test_files_of_another_format_or_size_are_told_and_are_no_drift() -> None:
    watch = street_watch(kind="PNG")
    same = Street(700, 120)
    for kind, side, words in (
        ("PNG", 8, "inputs as in training"),
        ("JPEG", 8, "the format is JPEG, unknown in training, in 100.0% of the inputs"),
        ("PNG", 16, "file width is higher than any in 100.0% of the inputs"),
    ):
        found = judged(watch, same, RATE, files=files_of(same, kind, side))
        told = found["data-quality"]
        assert words in told.summary, told
        assert told.level == ("calm" if "as in training" in words else "alarm")
        assert found["input-drift"].level == "calm", "what the model sees did not change"
