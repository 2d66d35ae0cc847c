"""A task of somebody else: a package with an entry point, held to the shipped contract."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.colours import PICTURES

TASK = '''
"""How bright a picture is, as a figure: no built-in task learns a figure of pictures."""

from everloop.errors import Refused
from everloop.tasks.tabular import TabularRegression
from everloop_runtime.images import ImageSpec


class Brightness(TabularRegression):
    kind = "acme-brightness"
    modality = "image"
    target, features, time = "brightness", (), None

    def __init__(self, side):
        if side < 1:
            raise Refused(f"a side of {side} pixels")
        object.__setattr__(self, "side", side)

    def declaration(self):
        return {"kind": self.kind, "side": self.side}

    def input_of(self, samples):
        return ImageSpec(self.side, self.side, 3)
'''

CONTRACT = """
import torch
from pathlib import Path

from acme_brightness import Brightness
from everloop.testing.tasks import TaskContract

PICTURES = sorted(Path(__file__).parent.glob("*.png"))


class TestBrightness(TaskContract):
    task = Brightness(8)
    samples = [(p.read_bytes(), '{"value":%d.5}' % n) for n, p in enumerate(PICTURES)]

    def model(self, data):
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8 * 8 * 3, 1))
"""


def test_a_package_with_an_entry_point_passes_the_contract(tmp_path: Path) -> None:
    installed = tmp_path / "site"
    about = installed / "acme_brightness-1.0.dist-info"
    about.mkdir(parents=True)
    (installed / "acme_brightness.py").write_text(TASK)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-brightness\nVersion: 1.0\n")
    point = "acme-brightness = acme_brightness:Brightness"
    (about / "entry_points.txt").write_text(f"[everloop.tasks]\n{point}\n")
    for number, picture in enumerate(PICTURES):
        (tmp_path / f"{number:02d}.png").write_bytes(picture)
    (tmp_path / "test_contract.py").write_text(CONTRACT)
    paths = [str(installed), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path),
         "-c", os.devnull, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "9 passed" in done.stdout
