"""The rules in force: a policy with its files read, and the version that names all it decides."""

from dataclasses import dataclass
from pathlib import Path

from everloop.errors import Refused
from everloop.ids import PolicyVersion
from everloop.policy import PrivacyPolicy
from everloop.privacy.plugins import load_detectors, load_moderators
from everloop_runtime.ids import digest_json

RENDERING = "rendering/1"
"""Names this package's own part in a rendition (decoding, covering, encoding); a change that
alters a rendition's pixels is a new name."""
_HOW_NOT_WHAT = {"workers", "patience", "timeout"}


@dataclass(frozen=True, slots=True)
class Rules:
    """What is done to each picture before labellers see it, or why nothing may be shown."""

    policy: PrivacyPolicy
    """Names from `names_file` are among its `names`."""
    version: PolicyVersion | None
    """None: the gate is closed."""
    closed: str | None
    """Why the gate is closed: no picture is given to labellers."""

    def warnings(self) -> tuple[str, ...]:
        """What labellers may see of personal data under these rules, in plain words."""
        told = []
        if "faces" not in self.policy.filters:
            told.append("faces are not filtered")
        if "text" not in self.policy.filters:
            told.append("text is not filtered")
        return tuple(told)


def rules_in_force(policy: PrivacyPolicy, project: Path, hook: str | None) -> Rules:
    """The rules of a project; `hook` is the fingerprint of the code behind `@product.moderate`.

    Never raises: what cannot be set up closes the gate.
    """
    try:
        resolved = resolve(policy, project)
        return Rules(resolved, _version(resolved, hook), None)
    except Refused as error:
        return Rules(policy, None, str(error))


def resolve(policy: PrivacyPolicy, project: Path) -> PrivacyPolicy:
    """The policy with the names of its `names_file` in it; `Refused` when that cannot be read."""
    if policy.text.names_file is None:
        return policy
    path = project / policy.text.names_file
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"the names in {path} cannot be read: {error}") from error
    names = {line.strip() for line in lines} | set(policy.text.names)
    text = policy.text.model_copy(update={"names": tuple(sorted(names - {""})), "names_file": None})
    return policy.model_copy(update={"text": text})


def _version(policy: PrivacyPolicy, hook: str | None) -> PolicyVersion:
    """Digest of everything that decides a rendition: settings, detectors, moderators, hook."""
    settings = policy.model_dump(mode="json", exclude=_HOW_NOT_WHAT)
    detectors = {name: detector.version for name, detector in load_detectors(policy).items()}
    moderators = {name: version for name, (version, _) in load_moderators(policy).items()}
    return PolicyVersion(
        digest_json(
            {
                "rendering": RENDERING,
                "settings": settings,
                "detectors": detectors,
                "moderators": moderators,
                "hook": hook,
            }
        )
    )
