"""A product made from the template, for real pictures that are not digits alone."""

from pathlib import Path

import pytest
from tests.support.projects import everloop, product_up, service_of, told, until

SYMBOLS = Path(__file__).parents[2] / "shared" / "data" / "math_symbols" / "images"
EACH, ASKED = 45, 10


@pytest.mark.skipif(not SYMBOLS.is_dir(), reason=f"{SYMBOLS} is not there")
def test_handwritten_symbols_come_to_production(tmp_path: Path) -> None:
    project = tmp_path / "symbols"
    assert everloop(None, "init", project, "--template", "image-classification").code == 0
    names = sorted(path.name for path in SYMBOLS.iterdir())
    code = (project / "product.py").read_text()
    mine = code.replace(
        '["cat", "dog"], size=(64, 64), channels=3', f"{names}, size=(28, 28), channels=1"
    )
    assert mine != code
    (project / "product.py").write_text(mine)
    settings = (project / "everloop.toml").read_text()
    settings = settings.replace("epochs = 40", "epochs = 15")
    free = settings + "\n[serve]\nport = 0\n\n[tracking]\nui = false\n\n[web]\non = false\n"
    (project / "everloop.toml").write_text(free)
    asked: dict[Path, str] = {}
    for name in names:
        pictures = sorted((SYMBOLS / name).iterdir())
        place = project / "data" / "labelled" / name
        place.mkdir(parents=True)
        for path in pictures[:EACH]:
            (place / path.name).write_bytes(path.read_bytes())
        asked |= dict.fromkeys(pictures[EACH : EACH + ASKED], name)
    with product_up(project):
        until(lambda: told(project, "status")["champion"], seconds=400, why="a champion")
        with service_of(project) as client:
            right = sum(
                client.predict(path.read_bytes()).label == name for path, name in asked.items()
            )
    (model,) = told(project, "models", "list")
    measured = model["metrics"]["accuracy"]
    # On pictures the product never saw; 180 answers leave a standard error of 2 points.
    assert right / len(asked) > measured - 0.08
    assert measured > 0.85
