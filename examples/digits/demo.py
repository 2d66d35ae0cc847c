"""The whole life of a vision product, on real handwritten digits, with nobody touching it.

This program only plays the world outside: it sends traffic and answers label tasks. Everything
else is decided and done by `everloop up`, which it starts, as a user would.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from camera import CAMERAS, Camera
from digits import Digit, load_digits, write_labelled
from person import Person
from product_process import ProductProcess
from report import Report, print_report, save_plot
from timeline import print_timeline
from traffic import Traffic

HERE = Path(__file__).parent
SEED_LABELS, HOLDOUT_LABELS = 150, 240
FIRST_SEASON = 320
AFTER_RECOVERY = 260
DAY, NIGHT = 25.0, 2.0
"""Requests a second: by day, and while the product waits for people and training."""
KEPT_FOR_MORNING = 550
"""Images that the night leaves for the canary and what follows it, however long it lasts."""
MISTAKES = 0.01
ALLOWED_LOSS = 0.03
PATIENCE_SECONDS = 480.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0 when the loop recovered and no request was dropped."""
    options = _options(arguments)
    # Ended from outside, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    camera = CAMERAS[options.camera]
    folder = options.work or Path(tempfile.mkdtemp(prefix="everloop-demo-"))
    digits = load_digits(options.seed)
    traffic_digits = write_labelled(digits, folder, HERE, train=SEED_LABELS, holdout=HOLDOUT_LABELS)
    _introduce(folder, camera, len(digits), len(traffic_digits))
    truth = {digit.sample: digit.label for digit in digits}
    truth |= {digit.seen_by(camera).sample: digit.label for digit in traffic_digits}
    with ProductProcess(folder) as product:
        person = Person(folder, truth, mistakes=MISTAKES, seed=options.seed)
        person.start()
        traffic = Traffic(product.service)
        product.wait_for("promote", PATIENCE_SECONDS)
        traffic.wait_ready()
        _live(product, traffic, traffic_digits, camera)
        person.stop()
        report = Report.of(traffic, product.events(), person.answered, ALLOWED_LOSS)
        print_timeline(report.events)
        print_report(report)
        for path in save_plot(report, folder):
            print(f"plot: {path}")
        print(f"service: {product.service}\nMLflow:  {product.tracker}\npages:   {product.pages}")
        print(f"project: {folder}")
        if not options.exit and sys.stdout.isatty():
            _wait_for_interrupt()
    return 0 if report.recovered and not report.dropped else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="shuffles images and traffic")
    parser.add_argument("--camera", choices=sorted(CAMERAS), default="tilted")
    parser.add_argument("--work", type=Path, help="an empty folder for the product")
    parser.add_argument("--exit", action="store_true", help="end when the story is told")
    return parser.parse_args(arguments)


def _introduce(folder: Path, camera: Camera, total: int, traffic: int) -> None:
    print(f"A product for handwritten digits lives in {folder}")
    print(f"real:      {total} scans of digits that scikit-learn ships, as PNG files;")
    print("           the training, the gates, the service and every request to it, the monitoring")
    print(f"simulated: when traffic comes ({traffic} images, each sent once);")
    print(
        f"           the changed camera of the second season: {camera.name}, {camera.describe()};"
    )
    print(
        f"           the person who labels: the data set's own labels, {MISTAKES:.0%} of them wrong"
    )
    print(f"labelled at first: {SEED_LABELS} to learn from, {HOLDOUT_LABELS} held out for good\n")


def _live(
    product: ProductProcess, traffic: Traffic, digits: Sequence[Digit], camera: Camera
) -> None:
    """Two seasons of traffic: as in training, then through the changed camera."""
    for digit in digits[:FIRST_SEASON]:
        traffic.send(digit, DAY)
    traffic.season = 2
    print("\n--- the camera changes ---\n", flush=True)
    deadline = time.monotonic() + PATIENCE_SECONDS
    champions, after = product.count("promote"), 0
    for sent, digit in enumerate(digits[FIRST_SEASON:], start=FIRST_SEASON):
        while _is_night(product, champions) and len(digits) - sent <= KEPT_FOR_MORNING:
            time.sleep(1 / DAY)
            if time.monotonic() > deadline:
                return
        if product.count("promote") > champions:
            champions, after = product.count("promote"), 0
        if champions > 1 and not _is_mending(product, champions):
            after += 1
            if after > AFTER_RECOVERY:
                return
        pace = NIGHT if _is_night(product, champions) else DAY
        traffic.send(digit.seen_by(camera), pace)
        if time.monotonic() > deadline:
            return


def _is_mending(product: ProductProcess, champions: int) -> bool:
    """Whether the loop has asked people for a better champion than the newest."""
    return product.count("select", purpose="teach") >= champions


def _is_night(product: ProductProcess, champions: int) -> bool:
    """While it waits for them and learns; the first step of the next canary brings the day."""
    steps = product.canary_steps_before(champions)
    return _is_mending(product, champions) and product.count("canary") <= steps


def _wait_for_interrupt() -> None:
    print("\nEverything keeps running; Ctrl-C ends it.")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    sys.exit(main())
