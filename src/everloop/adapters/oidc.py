"""Logging in at an OpenID Connect provider: the code flow with PKCE, through authlib.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth
"""

import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from everloop.errors import Refused, Unavailable
from everloop.policy import OidcPolicy
from everloop.state.access import PEOPLE, PersonRole
from everloop_runtime.ids import digest_bytes

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import OAuth2Client

BACK = "/login/oidc/back"
"""Where the provider sends people back to."""
LASTS = timedelta(minutes=10)
"""How long somebody may take to log in there."""
_BEGUN = 1000
"""So many may be on their way at once; the oldest begin anew."""
_SECONDS = 10.0
_LEEWAY = 60
"""Seconds that two clocks may differ."""
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
"""None that a secret both sides know would sign, and not `none`."""


@dataclass(frozen=True, slots=True)
class _Begun:
    nonce: str
    verifier: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LetIn:
    """Somebody whom the provider vouches for, and what they may do here."""

    name: str
    role: PersonRole
    subject: str
    """The provider's own id of them, hashed: it never changes, whatever they are called."""


class Oidc:
    """One provider. What is on its way is kept in memory: after a restart people begin anew."""

    def __init__(self, policy: OidcPolicy, secret: str | None) -> None:
        self._policy, self._secret = policy, secret
        self._begun: OrderedDict[str, _Begun] = OrderedDict()

    def begin(self, now: datetime) -> tuple[str, str]:
        """Where to send somebody, and the state by which they are known again.

        Raises `Unavailable` when the provider does not answer.
        """
        begun = _Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(48), now)
        state = secrets.token_urlsafe(32)
        place = self._document()["authorization_endpoint"]
        with self._client() as client:
            url, _ = client.create_authorization_url(
                place, state=state, nonce=begun.nonce, code_verifier=begun.verifier
            )
        self._begun[state] = begun
        while len(self._begun) > _BEGUN:
            self._begun.popitem(last=False)
        return str(url), state

    def finish(self, state: str, code: str, now: datetime) -> LetIn:
        """Who came back with a code. A state is good once.

        Raises `Refused` for a state that is unknown or old, a code or an id token that is not good,
        and somebody without a role here; `Unavailable` when the provider does not answer.
        """
        begun = self._begun.pop(state, None)
        if begun is None or not timedelta(0) <= now - begun.at < LASTS:
            raise Refused("this log-in was not begun here, or too long ago: begin anew")
        document = self._document()
        token = self._token(document["token_endpoint"], code, begun)
        claims = self._claims(document, token, begun.nonce, now)
        if self._policy.claim not in claims and "userinfo_endpoint" in document:
            claims = {
                **self._further(document["userinfo_endpoint"], token, claims["sub"]),
                **claims,
            }
        subject = digest_bytes(f"{document['issuer']} {claims['sub']}".encode())[:32]
        return LetIn(self._name(claims), self._role(claims), subject)

    def _name(self, claims: Mapping[str, Any]) -> str:
        name = claims.get(self._policy.name)
        if self._policy.name == "email" and claims.get("email_verified") is False:
            name = None
        return str(name or claims["sub"])[:60]

    def _role(self, claims: Mapping[str, Any]) -> PersonRole:
        told = claims.get(self._policy.claim, ())
        values = {told} if isinstance(told, str) else set(map(str, _listed(told)))
        mine = [role for role in PEOPLE if values & set(self._policy.roles.get(role, ()))]
        if not mine:
            raise Refused("the provider knows you, but you have no role here")
        return mine[-1]

    def _client(self) -> "OAuth2Client":
        try:
            from authlib.integrations.httpx_client import OAuth2Client
        except ImportError as error:
            raise Refused("[web.oidc] wants authlib: pip install 'everloop[oidc]'") from error
        policy = self._policy
        return OAuth2Client(
            policy.client,
            self._secret,
            scope=policy.scope,
            redirect_uri=policy.address.rstrip("/") + BACK,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
            timeout=_SECONDS,
        )

    def _document(self) -> Mapping[str, Any]:
        place = self._policy.issuer.rstrip("/") + "/.well-known/openid-configuration"
        document = _read(place)
        if str(document.get("issuer")).rstrip("/") != self._policy.issuer.rstrip("/"):
            raise Refused(
                f"the provider calls itself {document.get('issuer')!r}, not as [web.oidc]"
            )
        return document

    def _token(self, place: str, code: str, begun: _Begun) -> Mapping[str, Any]:
        from authlib.integrations.base_client import OAuthError

        try:
            with self._client() as client:
                token: Mapping[str, Any] = client.fetch_token(
                    place,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=begun.verifier,
                )
        except OAuthError as error:
            raise Refused(f"the provider does not take the code: {error.error}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"the provider did not answer: {error}") from error
        return token

    def _claims(
        self, document: Mapping[str, Any], token: Mapping[str, Any], nonce: str, now: datetime
    ) -> Mapping[str, Any]:
        """What the id token says, once its signature and its claims have been checked."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        policy = self._policy
        try:
            keys = KeySet.import_key_set(_read(document["jwks_uri"]))  # type: ignore[arg-type]
            read = jwt.decode(str(token.get("id_token", "")), keys, algorithms=_ALGORITHMS)
            claims = CodeIDToken(
                read.claims,
                read.header,
                {
                    "iss": {"essential": True, "value": document["issuer"]},
                    "aud": {"essential": True, "value": policy.client},
                },
                {"nonce": nonce, "client_id": policy.client},
            )
            claims.validate(now=int(now.timestamp()), leeway=_LEEWAY)
        except (JoseError, ValueError) as error:
            raise Refused(f"the provider's id token is not good: {error}") from error
        return dict(claims)

    def _further(self, place: str, token: Mapping[str, Any], sub: str) -> Mapping[str, Any]:
        told = _read(place, {"Authorization": f"Bearer {token['access_token']}"})
        if told.get("sub") != sub:
            raise Refused("the provider tells of somebody else than it let in")
        return told


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _read(place: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    try:
        answer = httpx.get(place, headers=headers, timeout=_SECONDS)
        answer.raise_for_status()
        told = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise Unavailable(f"the provider did not answer: {error}") from error
    if not isinstance(told, dict):
        raise Unavailable("the provider's answer is no JSON object")
    return told
