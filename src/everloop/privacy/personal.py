"""Personal data in a line of read text: which kinds a line holds.

Made for text read by OCR: spaces come and go, and letters stand for digits. What has a check
digit is checked; what has the unmistakable shape of a card or account number counts although its
check fails, because one misread digit must not uncover it.
"""

import importlib
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cached_property
from types import ModuleType

from everloop.errors import Refused
from everloop.policy import TextPolicy

_INSTALL = "install it with: pip install 'everloop[privacy]'"
_EMAIL = re.compile(r"[\w.+%-]+ ?[@\u00a9\u00ae] ?[\w-]+(?: ?[.,] ?[\w-]+)+")
_CARD = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
_CARD_SHAPE = re.compile(r"(?<!\d)[3-6]\d{3}([ -])\d{4}\1\d{4}\1\d{4}(?!\d)")
_IBAN = re.compile(r"(?<![A-Z0-9])([A-Z]{2}) ?\d\d(?: ?[A-Z0-9]){11,30}")
_IBAN_SHAPE = re.compile(r"[A-Z]{2}\d\d(?: [A-Z0-9]{4}){2,7}")
_IBAN_COUNTRIES = re.compile(
    "A[DELTZ]|B[AEGHIRY]|C[HRYZ]|D[EJKO]|E[EGS]|F[IKOR]|G[BEILRT]|H[NRU]|I[ELQST]|JO|K[WZ]|"
    "L[BCITUVY]|M[CDEKNRTU]|N[ILO]|OM|P[KLST]|QA|R[OSU]|S[ACDEIKMOTV]|T[LNR]|UA|V[AG]|XK|YE"
)
"""Those of the registry of ISO 13616."""
_IBAN_LENGTHS = range(15, 35)
_WORD = re.compile(r"[A-Z0-9]+(?:[-/.][A-Z0-9]+)*", re.IGNORECASE)
_MOST_WORDS = 5
"""A number of a person is written in at most this many groups."""
_SHORTEST, _LONGEST = 8, 16
_UNCHECKED = {"us.ssn": re.compile(r"\d{3}-\d{2}-\d{4}"), "dk.cpr": re.compile(r"\d{6}-\d{4}")}
"""Numbers without a check digit count only as they are written by people."""
_LOOKALIKES = str.maketrans("OoQDIl|SsBZz", "000011155822")


class PersonalData:
    """Finds the kinds of personal data that a policy asks for.

    Raises `Refused` when a library is missing, or a number or pattern is not known.
    """

    def __init__(self, policy: TextPolicy) -> None:
        self._policy = policy
        found: dict[str, Callable[[str], bool]] = {
            "email": _has_email,
            "phone": self._has_phone,
            "card": _has_card,
            "iban": _has_iban,
            "national-number": self._has_national_number,
            "name": self._has_name,
            "pattern": self._has_pattern,
        }
        self._finders = {kind: found[kind] for kind in policy.kinds}
        self._patterns = [_compiled(name, p) for name, p in policy.patterns.items()]
        self._allowed = [re.compile(re.escape(text), re.IGNORECASE) for text in policy.allow]
        # What a policy asks for must be there before the first picture.
        if "phone" in policy.kinds:
            _library("phonenumbers")
        if "national-number" in policy.kinds:
            _library("stdnum")
            self._numbers  # noqa: B018 - named so that a wrong one is told now

    def kinds(self, line: str) -> tuple[str, ...]:
        """The kinds of personal data in a line, in the policy's order."""
        text = unicodedata.normalize("NFKC", line)
        for allowed in self._allowed:
            text = allowed.sub(" ", text)
        return tuple(kind for kind, finds in self._finders.items() if finds(text))

    def _has_phone(self, text: str) -> bool:
        if sum(map(str.isdigit, text)) < 7:
            return False
        from phonenumbers import Leniency, PhoneNumberMatcher

        text = _digits_mended(text)
        if PhoneNumberMatcher(text, None, leniency=Leniency.POSSIBLE).has_next():
            return True
        regions = self._policy.phone_regions
        return any(PhoneNumberMatcher(text, region).has_next() for region in regions)

    def _has_national_number(self, text: str) -> bool:
        if not any(map(str.isdigit, text)):
            return False
        return any(
            _is_number(name, valid, candidate)
            for candidate in _candidates(text)
            for name, valid in self._numbers.items()
        )

    @cached_property
    def _numbers(self) -> dict[str, Callable[[str], bool]]:
        found = {}
        for name in self._policy.national_numbers:
            try:
                found[name] = importlib.import_module(f"stdnum.{name}").is_valid
            except (ImportError, AttributeError) as error:
                raise Refused(f"python-stdnum has no number {name!r}: {error}") from error
        return found

    def _has_name(self, text: str) -> bool:
        if not self._names:
            return False
        line = _plain(text)
        tight = line.replace(" ", "")
        return any(_says(name, line, tight) for name in self._names)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(name for name in map(_plain, self._policy.names) if name)

    def _has_pattern(self, text: str) -> bool:
        return any(pattern.search(text) for pattern in self._patterns)


def _has_email(text: str) -> bool:
    return _EMAIL.search(text) is not None


def _has_card(text: str) -> bool:
    text = _digits_mended(text)
    return _CARD_SHAPE.search(text) is not None or any(
        _luhn(re.sub(r"\D", "", match[0])) for match in _CARD.finditer(text)
    )


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1: every second digit from the right doubled, the sum a multiple of ten."""
    doubled = [int(d) * 2 for d in digits[-2::-2]]
    total = sum(map(int, digits[-1::-2])) + sum(d - 9 if d > 9 else d for d in doubled)
    return total % 10 == 0 and len(set(digits)) > 1


def _digits_mended(text: str) -> str:
    """Letters that OCR takes for digits, mended in words that are mostly digits."""

    def mend(match: re.Match[str]) -> str:
        word = match[0]
        few = sum(map(str.isdigit, word)) * 2 < len(word)
        return word if few else word.translate(_LOOKALIKES)

    return re.sub(r"[\w|]+", mend, text)


def _candidates(text: str) -> Iterator[str]:
    """One to five neighbouring words, as long as a number of a person."""
    words = [match[0] for match in _WORD.finditer(text)]
    for start in range(len(words)):
        for end in range(start + 1, min(start + _MOST_WORDS, len(words)) + 1):
            joined = " ".join(words[start:end])
            size = sum(map(str.isalnum, joined))
            if size > _LONGEST:
                break
            if size >= _SHORTEST and any(map(str.isdigit, joined)):
                yield joined


def _is_number(name: str, valid: Callable[[str], bool], candidate: str) -> bool:
    if name in _UNCHECKED and not _UNCHECKED[name].fullmatch(candidate):
        return False
    return valid(candidate)


def _has_iban(text: str) -> bool:
    for match in _IBAN.finditer(text.upper()):
        if not _IBAN_COUNTRIES.fullmatch(match[1]):
            continue
        if _IBAN_SHAPE.match(match[0]) and sum(map(str.isdigit, match[0])) >= 12:
            return True
        compact = match[0].replace(" ", "")
        if any(_mod_97(compact[:length]) for length in _IBAN_LENGTHS if length <= len(compact)):
            return True
    return False


def _mod_97(iban: str) -> bool:
    """ISO 7064 MOD 97-10: letters as 10 to 35, the first four characters moved to the end."""
    moved = iban[4:] + iban[:4]
    return int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def _plain(text: str) -> str:
    """Lower case without accents or punctuation, words parted by one space."""
    bare = unicodedata.normalize("NFKD", text.casefold())
    kept = (c if c.isalnum() else " " for c in bare if not unicodedata.combining(c))
    return " ".join("".join(kept).split())


def _says(name: str, line: str, tight: str) -> bool:
    if f" {name} " in f" {line} ":
        return True
    joined = name.replace(" ", "")
    # OCR loses spaces between words; a short name inside a longer word is another word.
    return " " in name and joined in tight


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise Refused(f"privacy.text.patterns.{name} is no regular expression: {error}") from error


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Refused(f"the filter text needs {name.partition('.')[0]}; {_INSTALL}") from error
