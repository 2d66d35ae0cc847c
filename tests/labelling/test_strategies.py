"""Each strategy of choosing is held to the contract, and does what its name says."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest

from everloop.errors import Refused
from everloop.labelling.strategy import GROUP, Candidates, Strategy, strategies, strategy_named
from everloop.policy import CHOOSING
from everloop.policy_file import parse_policy
from everloop.testing.strategies import StrategyContract, candidates


@pytest.fixture(params=CHOOSING)
def built_in(request: pytest.FixtureRequest) -> Strategy:
    return strategy_named(request.param)


class TestBuiltIn(StrategyContract):
    @pytest.fixture
    def strategy(self, built_in: Strategy) -> Strategy:
        return built_in


def _chosen(name: str, made: Candidates, budget: int) -> list[int]:
    return [int(row) for row in strategy_named(name)(made, budget, np.random.default_rng(0))]


def test_the_policy_knows_the_built_in_strategies_and_refuses_others_with_the_list() -> None:
    assert set(CHOOSING) <= set(strategies())
    with pytest.raises(
        Refused, match=r'line 3: .*"best".*no such strategy; there are: badge, core'
    ):
        parse_policy('level = 2\n[labelling]\nstrategy = "best"\n')


def test_a_plug_in_of_somebody_else_is_found_by_its_name(tmp_path: Path) -> None:
    """A distribution with an entry point in the group, as pip would lay it out."""
    (tmp_path / "acme_last.py").write_text(
        "import numpy as np\n"
        "def choose(candidates, budget, generator):\n"
        "    return np.arange(len(candidates))[::-1][:budget]\n"
    )
    info = tmp_path / "acme_last-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-last\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nacme-last = acme_last:choose\n")
    code = (
        "from everloop.policy_file import parse_policy\n"
        "from everloop.labelling.strategy import strategy_named\n"
        "policy = parse_policy('level = 2\\n[labelling]\\nstrategy = \"acme-last\"')\n"
        "print(strategy_named(policy.labelling.strategy)(range(9), 3, None).tolist())\n"
    )
    path = [str(tmp_path), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout.strip() == "[8, 7, 6]", done.stderr


def test_coreset_leaves_nothing_far_from_what_is_chosen() -> None:
    """Of three heaps far from each other, one of which has labels, the others come first."""
    heaps = np.repeat([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], 30, axis=0)
    points = (heaps + np.random.default_rng(0).normal(0, 0.02, heaps.shape)).astype(np.float32)
    made = Candidates(points, np.ones(90), None, points[:5], 5, 3)
    assert sorted(row // 30 for row in _chosen("coreset", made, 2)) == [1, 2]


def test_the_typical_stand_for_the_large_groups_and_no_outlier_is_taken() -> None:
    random = np.random.default_rng(0)
    heaps = np.repeat(np.eye(4), (60, 50, 40, 3), axis=0)
    points = (heaps + random.normal(0, 0.03, heaps.shape)).astype(np.float32)
    made = Candidates(points, np.ones(len(points)), None, points[:0], 0, 3)
    assert sorted(points[row].argmax() for row in _chosen("typical-first", made, 4)) == [0, 1, 2, 3]
    groups = [int(points[row].argmax()) for row in _chosen("typical-first", made, 3)]
    assert len(set(groups)) == 3


def test_badge_and_entropy_prefer_the_unsure() -> None:
    made = candidates(400)
    assert made.odds is not None
    for name in ("badge", "entropy", "margin"):
        assert made.unsure[_chosen(name, made, 20)].mean() > made.unsure.mean() + 0.1


def test_the_hybrid_asks_first_about_the_typical_and_then_about_the_unsure() -> None:
    made = candidates(400)
    early = Candidates(made.embeddings, np.ones(400), None, made.known[:0], 0, 3)
    typical = set(_chosen("typical-first", early, 9))
    assert set(_chosen("hybrid", early, 9)) == typical
    assert made.unsure[_chosen("hybrid", made, 20)].mean() > made.unsure.mean() + 0.1


def test_the_hybrid_asks_about_what_has_drifted_and_about_every_class() -> None:
    """As unsure as others, but far from all that is known; and of a rare answer too."""
    random = np.random.default_rng(0)
    points = random.normal(0, 0.1, (300, 4)) + np.eye(4)[0]
    points[:30] = random.normal(0, 0.1, (30, 4)) + np.eye(4)[1]
    odds = np.tile(np.array([0.4, 0.35, 0.25], np.float32), (300, 1))
    odds[30:45] = odds[30:45][:, ::-1]
    made = Candidates(points.astype(np.float32), np.full(300, 0.95), odds,
                      points[250:].astype(np.float32), 50, 3)  # fmt: skip
    chosen = _chosen("hybrid", made, 20)
    assert sum(row < 30 for row in chosen) >= 4
    assert sum(30 <= row < 45 for row in chosen) >= 2


def test_every_entry_point_of_the_group_is_in_one_file_of_its_own() -> None:
    ours = [p for p in entry_points(group=GROUP) if p.value.startswith("everloop.")]
    assert len({point.value for point in ours}) == len({point.name for point in ours})
