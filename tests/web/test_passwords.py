"""Passwords: set by whoever has a token, kept as Argon2id, void when the token is."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from tests.support.pages import Pages, now, pages_of, things_project

from everloop.errors import Refused
from everloop.state.database import Database
from everloop.state.passwords import Passwords
from everloop.web.asked import Asked
from everloop.web.pages.entrance import Entrance
from everloop.web.tries import Tries
from everloop.web.watching import Opened
from everloop_runtime.problems import Problem

WORDS = "correct horse battery"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    project = things_project(tmp_path_factory.mktemp("passwords") / "things")
    with pages_of(project) as served:
        yield served


def _browser(pages: Pages) -> httpx.Client:
    return httpx.Client(base_url=pages.url, timeout=20, trust_env=False)


def _set(client: httpx.Client, password: str, **more: str) -> httpx.Response:
    found = re.search(r'name="csrf" content="([0-9a-f]+)"', client.get("/me").text)
    assert found
    form = {"csrf": found[1], "password": password, "again": password, **more}
    return client.post("/me/password", data=form)


def test_who_has_a_token_sets_a_password_and_logs_in_by_name(pages: Pages) -> None:
    with _browser(pages) as client, _browser(pages) as elsewhere:
        for each in (client, elsewhere):
            each.post("/login", data={"token": pages.tokens["approver"]})
        for bad in ("short", "x" * 300, "approver's horse battery"):
            assert _set(client, bad).status_code == 422
        assert _set(client, WORDS, again="another").status_code == 422
        assert _set(client, WORDS).status_code == 303
        assert client.get("/models").status_code == 200
        assert elsewhere.get("/models").status_code == 401, "other sessions end"
        assert _set(client, "another horse battery").status_code == 422, "the old one is asked for"
        assert _set(client, "another horse battery", before=WORDS).status_code == 303
    stored = pages.project.layout.root.glob("state.db*")
    kept = b"".join(path.read_bytes() for path in stored)
    assert b"$argon2id$" in kept and WORDS.encode() not in kept
    assert pages.project.audit.entries("web: set a password")
    with _browser(pages) as client:
        form = {"name": "approver", "password": "another horse battery"}
        assert client.post("/login", data=form).status_code == 303
        assert client.get("/models").status_code == 200
        assert client.get("/people").status_code == 403


def test_wrong_ones_are_told_nothing_and_shut_out(pages: Pages) -> None:
    told = []
    with _browser(pages) as client:
        for name in ("approver", "nobody") * 5:
            answer = client.post("/login", data={"name": name, "password": WORDS})
            told.append((answer.status_code, re.sub(r"[\s\S]*role=.alert.", "", answer.text)[:99]))
        assert {status for status, _ in told} == {401} and len({text for _, text in told}) == 1
        right = {"name": "approver", "password": "another horse battery"}
        assert client.post("/login", data=right).status_code == 429


def test_a_password_ends_with_its_token_and_a_one_time_token_has_none(pages: Pages) -> None:
    access = pages.project.access
    store = Passwords(Database.open(pages.project.layout.database))
    day = timedelta(days=1)
    made, _ = access.make("zoe", "viewer", by="test", now=now(), lasts=day)
    once, _ = access.make("zoe", "viewer", by="test", now=now(), lasts=day, once=True)
    with pytest.raises(Refused, match="one-time"):
        store.put(once.id, WORDS, now())
    store.put(made.id, WORDS, now())
    assert store.find("zoe", WORDS, now()) == made.id
    assert store.find("zoe", WORDS + "!", now()) is None
    assert store.find("zoe", WORDS, now() + 2 * day) is None
    access.revoke(made.id, now())
    assert store.find("zoe", WORDS, now()) is None


def test_guesses_at_one_name_are_counted_wherever_they_come_from(pages: Pages) -> None:
    door = Entrance("c", Tries(most=3), timedelta(hours=1))
    store = Passwords(Database.open(pages.project.layout.database))
    asked = Asked(
        now(), None, "203.0.113.1", {}, "", b"name=zoe&password=guess",
        pages.project.access, store, pages.project.audit, lambda: Opened(pages.project),
    )  # fmt: skip
    for number in range(3):
        assert door.log_in(replace(asked, peer=f"203.0.113.{number}")).status == 401
    with pytest.raises(Problem) as told:
        door.log_in(replace(asked, peer="203.0.113.9"))
    assert told.value.status == 429
    entry = pages.project.audit.entries("web: too many wrong tokens")[-1]
    assert entry.told["for"] == "the name zoe"
    other = replace(asked, body=b"name=bob&password=guess", peer="203.0.113.9")
    assert door.log_in(other).status == 401, "others are not shut out by it"
