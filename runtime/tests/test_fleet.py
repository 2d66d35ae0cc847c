"""Several bundles in one real service: shadow, A/B, fallback, and bundles that fail."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.bundles import graph, make_bundle
from tests.support.pictures import flat, noise
from tests.support.services import Running, running_service

from everloop.ids import BundleId
from everloop_runtime.breaker import Breaker
from everloop_runtime.client import Client
from everloop_runtime.routes import CanaryRoute, Experiment, Routes, ShadowRoute, Variant

DARK, BRIGHT = flat(20), flat(230)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    champion = make_bundle(tmp_path / "bundles")
    with running_service(tmp_path, Routes(generation=1, champion=champion)) as running:
        yield running


def _champion(client: Client) -> BundleId:
    return BundleId(str(client.status()["champion"]))


def _canary(bundle: BundleId, share: float = 1.0, renewal: int = 1) -> CanaryRoute:
    return CanaryRoute(bundle=bundle, share=share, lease_seconds=60, renewal=renewal)


def _shadow(bundle: BundleId, lease: float = 60) -> ShadowRoute:
    return ShadowRoute(bundle=bundle, lease_seconds=lease, renewal=1)


def _until(what: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def _children(service: Running) -> list[int]:
    tasks = Path(f"/proc/{service.process.pid}/task")
    found = [(task / "children").read_text().split() for task in tasks.iterdir()]
    return [int(child) for children in found for child in children]


def test_a_shadow_sees_copies_and_answers_nobody(service: Running) -> None:
    shadow = make_bundle(service.bundles, 1.0)
    with service.client() as client:
        champion = _champion(client)
        service.route(Routes(generation=2, champion=champion, shadow=_shadow(shadow)))
        answers = [client.predict(noise(n)) for n in range(20)]
        _until(lambda: sum(client.status()["mirror"].values()) == 20)
        _until(lambda: client.status()["served"].get("shadow", 0) > 0)
        client.flush()
    assert {(answer.bundle, answer.role) for answer in answers} == {(champion, "champion")}
    captured = service.captured()
    copies = [record for record in captured if record.role == "shadow"]
    assert copies and {record.bundle for record in copies} == {shadow}
    given = {record.prediction: record.sample for record in captured if record.role == "champion"}
    assert all(given[copy.prediction] == copy.sample for copy in copies)


def test_an_experiment_keeps_each_key_with_its_variant(service: Running) -> None:
    one, two = make_bundle(service.bundles, 1.0), make_bundle(service.bundles, 2.0)
    variants = (
        Variant(name="one", bundle=one, share=0.4),
        Variant(name="two", bundle=two, share=0.4),
    )
    experiment = Experiment(name="x", variants=variants, lease_seconds=60, renewal=1)
    with service.client() as client:
        champion = _champion(client)
        service.route(Routes(generation=2, champion=champion, experiment=experiment))
        first = [client.predict(DARK, key=f"user {n}").bundle for n in range(60)]
        again = [client.predict(DARK, key=f"user {n}").bundle for n in range(60)]
        client.flush()
    assert first == again
    assert set(first) == {one, two, champion}
    assert Counter(record.role for record in service.captured()).keys() == {"variant", "champion"}


def test_a_crash_of_the_canary_costs_no_answer_and_takes_it_out_of_the_way(
    service: Running,
) -> None:
    candidate = make_bundle(service.bundles, 1.0)
    with service.client() as client:
        champion = _champion(client)
        service.route(Routes(generation=2, champion=champion, canary=_canary(candidate)))
        before = [client.predict(noise(n)).bundle for n in range(50)]
        (child,) = _children(service)
        os.kill(child, signal.SIGSEGV)
        after = [client.predict(noise(n)).bundle for n in range(50)]
        told = client.status()["bundles"][candidate]
    assert set(before) == {candidate}
    assert set(after) == {champion}
    assert told == {"state": "failed", "reason": "its process was ended by SIGSEGV"}


def test_a_canary_that_never_comes_to_an_end_is_killed_and_the_champion_answers(
    service: Running,
) -> None:
    endless = make_bundle(service.bundles, model=graph(loops_on_bright=2**60))
    with service.client() as client:
        champion = _champion(client)
        routes = Routes(generation=2, champion=champion, canary=_canary(endless))
        service.route(routes.model_copy(update={"deadline_seconds": 0.5}))
        assert {client.predict(DARK).bundle for _ in range(50)} == {endless}
        assert {client.predict(BRIGHT).bundle for _ in range(5)} == {champion}
        _until(lambda: _children(service) == [])
        _until(lambda: client.status()["bundles"][endless]["state"] == "failed")
        assert "did not answer within 0.5 s" in client.status()["bundles"][endless]["reason"]
        assert client.predict(BRIGHT).label == "bright"


def test_a_failing_shadow_hurts_nobody_and_is_told(service: Running) -> None:
    shadow = make_bundle(service.bundles, 1.0, breaks_on_bright=True)
    with service.client() as client:
        champion = _champion(client)
        service.route(Routes(generation=2, champion=champion, shadow=_shadow(shadow)))
        while client.status()["bundles"][shadow]["state"] == "ready":
            assert client.predict(BRIGHT).role == "champion"
        assert "not a number" in client.status()["bundles"][shadow]["reason"]


def test_where_the_champion_fails_the_former_one_answers(service: Running) -> None:
    broken = make_bundle(service.bundles, 1.0, breaks_on_bright=True)
    with service.client() as client:
        former = _champion(client)
        service.route(Routes(generation=2, champion=broken, fallback=former))
        answers = [client.predict(BRIGHT) for _ in range(8)]
        assert {(a.bundle, a.role, a.label) for a in answers} == {(former, "fallback", "bright")}
        assert client.status()["bundles"][broken]["state"] == "failed"
        # Its breaker is open: the fallback is asked first, for what the champion could do too.
        assert client.predict(DARK).role == "fallback"


def test_the_way_back_does_not_wait_for_anything_to_load(service: Running) -> None:
    second, third = make_bundle(service.bundles, 1.0), make_bundle(service.bundles, 2.0)
    with service.client() as client:
        first = _champion(client)
        service.route(Routes(generation=2, champion=second, fallback=first))
        assert client.predict(DARK).bundle == second
        service.route(Routes(generation=3, champion=first, canary=_canary(third, 0.0)))
        assert client.predict(DARK).bundle == first


def test_what_is_warm_gets_no_traffic_and_is_ready_for_all_of_it(service: Running) -> None:
    green = make_bundle(service.bundles, 1.0)
    with service.client() as client:
        blue = _champion(client)
        service.route(Routes(generation=2, champion=blue, warm=green))
        assert client.status()["bundles"][green]["state"] == "ready"
        assert {client.predict(noise(n)).bundle for n in range(20)} == {blue}
        service.route(Routes(generation=3, champion=green, fallback=blue))
        assert {client.predict(noise(n)).bundle for n in range(20)} == {green}


def test_a_breaker_opens_on_many_failures_that_are_not_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(10):
        breaker.answered()
        breaker.failed("late")
    assert breaker.reason == "10 of its last 20 requests failed, the last: late"
    healthy = Breaker()
    for _ in range(100):
        for _ in range(3):
            healthy.answered()
        healthy.failed("once")
    assert healthy.reason is None
