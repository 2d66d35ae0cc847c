"""Logging in at an OpenID Connect provider, which runs."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.support.pages import Pages, now, pages_of, things_project

from everloop.adapters.oidc import Oidc
from everloop.errors import Refused, Unavailable
from everloop.policy import OidcPolicy
from everloop.policy_file import parse_policy

SECRET = "of the pages"  # noqa: S105 - of a provider that the test starts
_OIDC = """
[web.oidc]
issuer = "{issuer}"
client = "everloop"
address = "http://127.0.0.1:8602"
scope = "openid email"
roles = {{ viewer = ["everybody"], approver = ["leads"], administrator = ["owners"] }}
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    mock = pytest.importorskip("oidc_provider_mock")
    users = [
        mock.User(sub="ann", claims={"email": "ann@example.org", "groups": ["everybody", "leads"]}),
        mock.User(sub="eve", claims={"email": "eve@example.org", "groups": ["others"]}),
        mock.User(sub="bob", claims={"groups": "everybody"}),
    ]
    with mock.run_server_in_thread(user_claims=users) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture(scope="module")
def served(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    policy = _OIDC.format(issuer=provider)
    project = things_project(tmp_path_factory.mktemp("oidc") / "things", more=policy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERLOOP_OIDC_SECRET", SECRET)
        with pages_of(project) as pages:
            yield pages


@pytest.fixture
def browser(served: Pages) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=20, trust_env=False) as client:
        yield client


def _sent_back(browser: httpx.Client, sub: str) -> str:
    """Begin to log in, and be let in by the provider as `sub`: where it sends the browser."""
    begun = browser.get("/login/oidc")
    assert begun.status_code == 303
    asked = parse_qs(urlsplit(begun.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"] and asked["redirect_uri"] == [
        "http://127.0.0.1:8602/login/oidc/back"
    ]
    answer = httpx.post(begun.headers["location"], data={"sub": sub}, trust_env=False)
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"


def test_whom_the_provider_vouches_for_has_the_highest_role_of_their_groups(
    served: Pages, browser: httpx.Client
) -> None:
    assert 'href="/login/oidc"' in browser.get("/login", headers={"accept": "text/html"}).text
    back = browser.get(_sent_back(browser, "ann"))
    assert (back.status_code, back.headers["location"]) == (303, "/"), back.text
    assert "ann@example.org" in browser.get("/models").text
    assert browser.get("/audit").status_code == 200, "an approver may"
    assert browser.get("/people").status_code == 403
    entry = served.project.audit.entries("web: log in")[-1]
    assert (entry.by, entry.told) == ("ann@example.org", {"role": "approver", "by": "oidc"})
    (token,) = [t for t in served.project.access.tokens() if t.made_by.startswith("oidc ")]
    served.project.access.revoke(token.id, token.made_at + timedelta(seconds=1))
    assert browser.get("/models").status_code == 401, "whoever is shut out is out"


def test_a_code_is_good_once_and_for_the_browser_that_asked(browser: httpx.Client) -> None:
    back = _sent_back(browser, "bob")
    with httpx.Client(base_url=browser.base_url, trust_env=False) as other:
        assert other.get(back).status_code == 422, "a link logs nobody in as somebody else"
    assert browser.get(back).status_code == 303
    assert "bob" in browser.get("/models").text, "the provider's id stands in for an address"
    again = browser.get(back, headers={"accept": "text/html"})
    assert again.status_code == 422 and "begin anew" in again.text


def test_who_has_no_role_here_or_comes_back_with_an_error_stays_out(browser: httpx.Client) -> None:
    answer = browser.get(_sent_back(browser, "eve"))
    assert answer.status_code == 422 and "no role here" in answer.text
    assert browser.get("/models").status_code == 401
    begun = browser.get("/login/oidc")
    (state,) = parse_qs(urlsplit(begun.headers["location"]).query)["state"]
    denied = browser.get(f"/login/oidc/back?error=access_denied&state={state}")
    assert denied.status_code == 422 and "access_denied" in denied.text
    wrong = browser.get(f"/login/oidc/back?code=made-up&state={state}")
    assert wrong.status_code == 422 and "does not take the code" in wrong.text


def test_a_code_of_one_log_in_does_not_end_another(provider: str) -> None:
    oidc = Oidc(_policy(provider), SECRET)
    first, second = (oidc.begin(now()) for _ in range(2))
    code = _code(first[0], "ann")
    with pytest.raises(Refused):
        oidc.finish(second[1], code, now())
    assert oidc.finish(first[1], _code(first[0], "ann"), now()).role == "approver"


def test_a_log_in_that_took_too_long_and_a_token_of_another_time_are_refused(provider: str) -> None:
    oidc = Oidc(_policy(provider), SECRET)
    place, state = oidc.begin(now())
    with pytest.raises(Refused, match="too long ago"):
        oidc.finish(state, _code(place, "ann"), now() + timedelta(minutes=11))
    late = now() + timedelta(hours=2)
    place, state = oidc.begin(late)
    with pytest.raises(Refused, match="id token is not good"):
        oidc.finish(state, _code(place, "ann"), late)


def test_a_provider_that_is_away_or_another_one_is_told(provider: str, tmp_path: Path) -> None:
    away = Oidc(_policy("http://127.0.0.1:9"), SECRET)
    with pytest.raises(Unavailable, match="did not answer"):
        away.begin(now())
    document = httpx.get(f"{provider}/.well-known/openid-configuration", trust_env=False).content
    (tmp_path / ".well-known").mkdir()
    (tmp_path / ".well-known" / "openid-configuration").write_bytes(document)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        other = Oidc(_policy(f"http://127.0.0.1:{server.server_port}"), SECRET)
        with pytest.raises(Refused, match="calls itself"):
            other.begin(now())
        server.shutdown()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("http://localhost:1", "http://login.example.org", "issuer is no https:// address"),
        ("http://127.0.0.1:8602", "everloop", "address is no https:// address"),
        ('client = "everloop"', 'client = ""', "issuer wants a client"),
        ("viewer =", "guest =", "guest"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(old: str, new: str, told: str) -> None:
    text = "level = 1\n" + _OIDC.format(issuer="http://localhost:1")
    assert parse_policy(text).web.oidc.client == "everloop"
    with pytest.raises(Refused, match=told):
        parse_policy(text.replace(old, new))


def test_without_a_provider_there_is_no_such_door(tmp_path: Path) -> None:
    with pages_of(things_project(tmp_path / "things")) as pages, pages.client(None) as client:
        assert client.get("/login/oidc").status_code == 404
        assert client.get("/login/oidc/back?state=a&code=b").status_code in (404, 422)
        assert "oidc" not in client.get("/login").text


def _policy(issuer: str) -> OidcPolicy:
    return parse_policy("level = 1\n" + _OIDC.format(issuer=issuer)).web.oidc


def _code(place: str, sub: str) -> str:
    answer = httpx.post(place, data={"sub": sub}, trust_env=False)
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
