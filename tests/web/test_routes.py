"""Every route as nobody and as each role: what the table says is what the server does."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tests.support.pages import CLASSES, HOSTILE, Filled, Pages, fill, now, pages_of, things_project

from everloop.ids import SampleId
from everloop.loop import measured
from everloop.loop.controller import acquire
from everloop.state.access import ROLES, Role
from everloop.web.asked import mapping
from everloop.web.pages.entrance import Entrance
from everloop.web.table import routes
from everloop.web.tries import Tries
from everloop_runtime.arriving import WireLimits

ALL = routes(Entrance("c", Tries(), timedelta(hours=1)))
OPEN = {("GET", "/livez"), ("GET", "/static/{build}/{name}"), ("GET", "/login"), ("POST", "/login"),
        ("GET", "/login/oidc"), ("GET", "/login/oidc/back")}  # fmt: skip
"""What strangers may ask for; everything else is 401 to them."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pages, Filled]]:
    """A product with something on every page."""
    project = things_project(tmp_path_factory.mktemp("routes") / "things")
    put = fill(project, measured=True)
    with pages_of(project) as pages:
        yield pages, put


def _address(path: str, put: Filled) -> str:
    """A path with something that is there in the place of each name."""
    there = {"{bundle}": put.bundles[0], "{task}": put.tasks[0], "{sample}": put.samples[0]}
    for name, value in there.items():
        path = path.replace(name, value)
    return re.sub(r"\{[a-z]+\}", "nothing", path)


@contextmanager
def _log_in(pages: Pages, role: Role) -> Iterator[httpx.Client]:
    """A browser after log-in, as far as it goes without a window."""
    with httpx.Client(base_url=pages.url, timeout=20, trust_env=False) as client:
        answer = client.post("/login", data={"token": pages.tokens[role]})
        assert answer.status_code == 303, answer.text
        yield client


def _csrf(client: httpx.Client) -> str:
    found = re.search(r'name="csrf" content="([0-9a-f]+)"', client.get("/try").text)
    assert found
    return found[1]


def test_only_the_entrance_is_open_to_strangers() -> None:
    assert {(r.method, r.path) for r in ALL if r.roles is None} == OPEN
    assert all(r.roles for r in ALL if r.roles is not None)


def test_every_route_lets_in_whom_the_table_says_and_nobody_else(
    served: tuple[Pages, Filled],
) -> None:
    pages, put = served
    for role in (None, *ROLES):
        with pages.client(role) as client:
            for route in ALL:
                if route.path in ("/login", "/logout"):
                    continue
                answer = client.request(route.method, _address(route.path, put))
                told = f"{role} {route.method} {route.path}: {answer.status_code}"
                if route.roles is None:
                    assert answer.status_code not in (401, 403), told
                elif role is None:
                    assert answer.status_code == 401, told
                elif role in route.roles:
                    assert answer.status_code not in (401, 403, 405, 500), told
                else:
                    assert answer.status_code == 403, told


def test_a_labeller_decides_nothing_and_a_viewer_writes_nothing(
    served: tuple[Pages, Filled],
) -> None:
    pages, put = served
    for role in ("labeller", "viewer"):
        with pages.client(role) as client:
            for path in (f"/models/{put.bundles[0]}/approve", "/releases/rollback", "/people"):
                assert client.post(path).status_code == 403
    assert pages.project.decisions.of(put.bundles[1]) is None


def test_what_is_another_products_is_not_there(served: tuple[Pages, Filled]) -> None:
    pages, _ = served
    other = "e" * 64
    paths = (
        f"/models/{other}",
        f"/data/samples/{other}",
        f"/trace/{other}",
        f"/label/{other}/image",
    )
    with pages.client("administrator") as client:
        assert [client.get(path).status_code for path in paths] == [404] * 4
        assert client.post(f"/models/{other}/approve").status_code == 404


@pytest.mark.parametrize(
    "path", ["/models/..%2f..%2fetc", "/models/%252e%252e", "/static/x/..%2f..%2fserve.py",
             "/models/../../etc", "/data/samples/%00"]
)  # fmt: skip
def test_an_id_that_climbs_is_not_there(served: tuple[Pages, Filled], path: str) -> None:
    pages, _ = served
    with pages.client("administrator") as client:
        request = client.build_request("GET", "/")
        request.url = request.url.copy_with(raw_path=path.encode())
        assert client.send(request).status_code == 404


def test_hostile_names_are_shown_as_text(served: tuple[Pages, Filled]) -> None:
    pages, put = served
    paths = ("/data", "/data/samples", f"/data/samples/{put.samples[2]}", "/label", "/try",
             f"/data/samples?label={HOSTILE}")  # fmt: skip
    with pages.client("administrator") as client:
        for path in paths:
            text = client.get(path).text
            assert "<img onerror" not in text, path
            assert "&lt;img onerror" in text, path


def test_answers_are_looked_through_and_nonsense_is_told(served: tuple[Pages, Filled]) -> None:
    pages, put = served
    with pages.client("viewer") as client:
        every = client.get("/data/answers").text
        assert f"/data/samples/{put.samples[29]}" in every and "/trace/p29" in every
        few = client.get("/data/answers?label=dark&surest=0.5&until=2026-12-31T23:59").text
        assert "/trace/p20" in few and "/trace/p29" not in few and "/trace/p12" not in few
        for nonsense in ("surest=2", "surest=nan", "since=soon", "before=-1", "before=1e9"):
            answer = client.get(f"/data/answers?{nonsense}")
            assert answer.status_code == 422, nonsense
        for nonsense in (
            "left=1",
            "left=x&top=1&right=2&bottom=3",
            "left=nan&top=0&right=1&bottom=1",
        ):
            assert client.get(f"/data/answers?{nonsense}").status_code == 422, nonsense
        of_none = "left=0&top=0&right=1&bottom=1&bundle="
        for named in ("", "e" * 64, "../" * 3):
            assert client.get(f"/data/answers?{of_none}{named}").status_code == 404, named
        assert "No answer fits" in client.get("/data/answers?label=%27%20OR%201%3D1").text
        assert "has not answered" in client.get(f"/data/samples/{put.samples[0]}/similar").text
        assert "No model is live" in client.get("/data/map").text


def test_labelled_samples_are_looked_through_by_what_is_known_of_them(
    served: tuple[Pages, Filled],
) -> None:
    pages, put = served
    data = pages.project.data
    sides = {s: place.side for s, place in data.samples.places(list(put.samples)).items()}
    labels = {s: said.label for s, said in data.annotations.standing(list(put.samples)).items()}

    def found(query: str) -> set[SampleId]:
        answer = client.get(f"/data/samples?{query}")
        assert answer.status_code == 200, answer.text
        ids = re.findall(r'<li><a href="/data/samples/([0-9a-f]{64})"', answer.text)
        return set(map(SampleId, ids))

    with pages.client("viewer") as client:
        assert found("") == set(put.samples)
        dark = found("label=dark&side=holdout&by=ann&origin=test&since=2020-01-01T00:00")
        assert dark == {s for s in put.samples if labels[s] == "dark" and sides[s] == "holdout"}
        assert not found("until=2020-01-01T00:00") and not found("by=bob")
        about = f"model={put.bundles[0]}"
        held = {s for s, side in sides.items() if side == "holdout" and labels[s] in CLASSES[:2]}
        phones = found(f"{about}&slice=camera=phone")
        assert found(f"{about}&slice=camera=desk") == held - phones
        wrong = found(f"{about}&slice=camera=phone&wrong=yes")
        assert wrong == {s for s in phones if labels[s] != "bright"}
        assert found(f"{about}&slice=camera=phone&label=dark") == {
            s for s in phones if labels[s] == "dark"
        }
        assert found(f"{about}&said=bright&wrong=yes") == wrong
        assert found(f"{about}&surest=0.75") | found(f"{about}&surest=0.95") == held
        assert not found(f"{about}&slice=camera=none") and not found("model=nothing&wrong=yes")
        # The worst slice is the first to choose.
        page = client.get(f"/data/samples?{about}").text
        assert page.index("camera=phone (") < page.index("camera=desk (")
        for nonsense in ("surest=-1", "until=never", "after=x"):
            assert client.get(f"/data/samples?{nonsense}").status_code == 422


def test_two_models_stand_side_by_side_where_one_hold_out_measured_both(
    served: tuple[Pages, Filled],
) -> None:
    pages, put = served
    one, two = put.bundles
    with pages.client("viewer") as client:
        both = client.get(f"/models/compare?one={one}&two={two}").text
        assert f"/data/samples?model={two}&amp;slice=camera%3Dphone" in both
        assert "What is taken for what" in both
        worse, better = (f"{two[:8]} answers {how}" for how in ("worse", "better"))
        assert worse in both and better in both
        # What was measured once may be gone: the figures that were noted are told without it.
        for path in pages.project.layout.evaluations.glob("*.json"):
            path.unlink()
        gone = client.get(f"/models/compare?one={one}&two={two}")
        assert gone.status_code == 200 and "camera=phone" not in gone.text


def test_people_are_asked_about_chosen_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = things_project(tmp_path / "things")
    put = fill(project, measured=True)
    with pages_of(project) as pages, _log_in(pages, "approver") as client:
        nothing = {"csrf": _csrf(client), "nonsense!": "chosen", "x": "y"}
        chosen = {**nothing, put.samples[3]: "chosen"}
        refused = client.post("/data/answers/ask", data=chosen)
        assert refused.status_code == 422 and "no model is live" in refused.text
        fence = acquire(project, now())
        assert fence is not None
        project.releases.set_champion(put.bundles[0], "a test", fence, now())
        samples = client.get("/data/samples").text
        assert "camera=phone (" in samples and f'name="{put.samples[3]}"' in samples
        # What takes long to read is read when it is asked for.
        monkeypatch.setattr(measured, "_QUICK", 1)
        samples = client.get("/data/samples").text
        assert "camera=phone (" not in samples and f"?model={put.bundles[0]}" in samples
        refused = client.post("/data/answers/ask", data=nothing)
        assert refused.status_code == 422 and "no picture was chosen" in refused.text
        sent = client.post("/data/answers/ask", data=chosen)
        assert sent.status_code == 303
        (request,) = project.requests.pending()
        wanted = mapping(request.inputs["inputs"])
        assert (wanted["purpose"], wanted["samples"]) == ("chosen", [put.samples[3]])
        page = client.get(sent.headers["location"]).text
        assert "next turns" in page and "choose p29" in page
        project.requests.done(request.id, "done", fence, now())
        assert "Asking people: done." in client.get(sent.headers["location"]).text


def test_pages_run_nothing_inline_and_may_not_be_framed(served: tuple[Pages, Filled]) -> None:
    pages, _ = served
    with pages.client("administrator") as client:
        for route in ALL:
            if route.method == "GET" and "{" not in route.path:
                answer = client.get(route.path)
                tags = re.sub(r'"[^"]*"', '""', answer.text)
                assert not re.search(r"<script>|<style|<[^<>]*\s(style|on[a-z]+)=", tags), (
                    route.path
                )
                policy = answer.headers["content-security-policy"]
                assert "default-src 'none'" in policy and "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
                assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_foreign_host_or_origin_is_refused(served: tuple[Pages, Filled]) -> None:
    pages, _ = served
    with pages.client("administrator") as client:
        assert client.get("/models", headers={"host": "evil.example"}).status_code == 403
        for origin in ("http://evil.example", "null", "http://localhost:1"):
            answer = client.post("/label/tasks", json={}, headers={"origin": origin})
            assert answer.status_code == 403, origin
        crossing = {"sec-fetch-site": "cross-site"}
        assert client.post("/label/tasks", json={}, headers=crossing).status_code == 403
        assert (
            client.post("/label/tasks", json={}, headers={"origin": pages.url}).status_code == 200
        )


def test_a_change_needs_the_token_of_its_own_session(served: tuple[Pages, Filled]) -> None:
    pages, put = served
    path = f"/models/{put.bundles[0]}/reject"
    with _log_in(pages, "approver") as mine, _log_in(pages, "approver") as other:
        assert mine.post(path, data={"comment": "x"}).status_code == 403
        assert mine.post(path, data={"csrf": _csrf(other)}).status_code == 403
        assert mine.post("/label/tasks", json={}).status_code == 403
        header = {"x-everloop-csrf": _csrf(mine)}
        assert mine.post("/label/tasks", json={}, headers=header).status_code == 200
        assert mine.post(path, data={"csrf": _csrf(mine)}).status_code == 303
    decision = pages.project.decisions.of(put.bundles[0])
    assert decision is not None and (decision.approved, decision.by) == (False, "approver")
    entry = pages.project.audit.entries("web: reject")[-1]
    assert (entry.by, entry.told["bundle"]) == ("approver", put.bundles[0])
    pages.project.audit.check()


def test_the_cookie_is_kept_from_scripts_and_a_session_ends_when_it_is_left(
    served: tuple[Pages, Filled],
) -> None:
    pages, _ = served
    with httpx.Client(base_url=pages.url, trust_env=False) as client:
        answer = client.post("/login", data={"token": pages.tokens["viewer"]})
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
        assert client.get("/models").status_code == 200
        kept = dict(client.cookies)
        assert client.post("/logout", data={"csrf": _csrf(client)}).status_code == 303
    with httpx.Client(base_url=pages.url, cookies=kept, trust_env=False) as thief:
        assert thief.get("/models").status_code == 401


def test_somebody_logs_out_everywhere_else(served: tuple[Pages, Filled]) -> None:
    pages, _ = served
    viewer: Role = "viewer"
    with _log_in(pages, viewer) as here, _log_in(pages, viewer) as there:
        assert here.post("/me/leave").status_code == 403
        answer = here.post("/me/leave", data={"csrf": _csrf(here)})
        assert answer.headers["location"] == "/me?ended=yes"
        assert "have ended" in here.get("/me?ended=yes").text
        assert there.get("/models").status_code == 401


def test_a_revoked_token_ends_its_sessions_at_once(served: tuple[Pages, Filled]) -> None:
    pages, _ = served
    with _log_in(pages, "administrator") as admin:
        csrf = _csrf(admin)
        made = admin.post(
            "/people", data={"csrf": csrf, "name": "bob", "role": "viewer", "days": "3"}
        )
        text = re.search(r"evl_[\w-]+", made.text)
        assert text
        stored = pages.project.layout.database.read_bytes()
        assert text[0].encode() not in stored
        with httpx.Client(base_url=pages.url, trust_env=False) as bob:
            bob.post("/login", data={"token": text[0]})
            assert bob.get("/models").status_code == 200
            token = next(t.id for t in pages.project.access.tokens() if t.name == "bob")
            assert admin.post(f"/people/{token}/revoke", data={"csrf": csrf}).status_code == 303
            assert bob.get("/models").status_code == 401


def test_a_flood_of_wrong_tokens_is_shut_out_and_told_once(tmp_path: Path) -> None:
    project = things_project(tmp_path / "things")
    with pages_of(project) as pages:
        with httpx.Client(base_url=pages.url, trust_env=False) as client:
            told = [client.post("/login", data={"token": f"evl_{n}"}).status_code for n in range(5)]
            wrong = [{"authorization": f"Bearer evl_{n}"} for n in range(7)]
            told += [client.get("/models", headers=each).status_code for each in wrong]
            assert told == [401] * 10 + [429] * 2
            right = {"token": pages.tokens["viewer"]}
            assert client.post("/login", data=right).status_code == 429
        with pages.client("viewer") as program:
            assert program.get("/models").status_code == 429
    (entry,) = project.audit.entries("web: too many wrong tokens")
    assert entry.told == {"from": "127.0.0.1"}


def test_bodies_that_are_too_large_too_deep_or_nonsense_are_refused(
    served: tuple[Pages, Filled],
) -> None:
    pages, _ = served
    with pages.client("labeller") as client:
        held = client.post("/label/tasks", json={}).json()["tasks"][0]["id"]
        path = f"/label/{held}/answer"
        assert client.post(path, content=b"x" * 300_000).status_code == 413
        assert client.post(path, content=b'{"label":{"a":' + b"[" * 200_000).status_code == 400
        assert client.post(path, content=b"{").status_code == 400
        assert client.post(path, content=b'{"label": %s}' % (b"9" * 5000)).status_code == 422
        assert client.post(path, json={"label": "no such class"}).status_code == 422
        assert client.post(path, json={"label": {"boxes": [["x"] * 5]}}).status_code == 422
        assert client.get("/livez").status_code == 200
    with pages.client("viewer") as client:
        assert client.get("/data/samples?after=" + "9" * 5000).status_code == 422


def test_a_request_that_trickles_in_is_cut_off(tmp_path: Path) -> None:
    project = things_project(tmp_path / "things")
    with pages_of(project, WireLimits(arrival_seconds=0.2)) as pages:
        place = pages.url.removeprefix("http://").split(":")
        with socket.create_connection((place[0], int(place[1])), 20) as slow:
            slow.sendall(b"GET / HT")
            assert slow.recv(100).startswith(b"HTTP/1.1 408")
