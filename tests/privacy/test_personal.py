"""Personal data in lines of text, as people write it and as OCR misreads it."""

import pytest

from everloop.errors import Refused
from everloop.policy import TextPolicy
from everloop.privacy.personal import PersonalData

pytest.importorskip("phonenumbers", reason="the extra everloop[privacy] is not installed")
pytest.importorskip("stdnum", reason="the extra everloop[privacy] is not installed")


@pytest.fixture(scope="module")
def personal() -> PersonalData:
    return PersonalData(
        TextPolicy(
            names=("Ann Smith", "Zoë", "Müller"),
            patterns={"badge": r"\bEMP-\d{5}\b"},
            allow=("info@example.com",),
        )
    )


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("email", "write to ann.smith@example.com today"),
        ("email", "j_doe+x@mail.example.co.uk"),
        ("email", "ann@ example.com"),
        ("email", "ann\u00a9example.com"),  # OCR takes @ for a copyright sign
        ("phone", "call +49 30 901820"),
        ("phone", "(415) 555-2671"),
        ("phone", "Tel 020 7946 0958"),
        ("phone", "+1 415 555 O671"),
        ("card", "4111 1111 1111 1111"),
        ("card", "378282246310005"),
        ("card", "5500-0000-0000-0004"),
        ("card", "4111 1111 1111 1112"),  # misread in one digit, and still in the shape of a card
        ("card", "4l11 1111 1111 1111"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "GB29NWBK60161331926819"),
        ("iban", "IBAN DE8937040044 0532 0130 00 BIC COBADEFF"),
        ("iban", "DE89 3704 0044 0532 0130 08"),
        ("national-number", "DNI 54362315-K"),
        ("national-number", "PESEL 44051401359"),
        ("national-number", "CPF 390.533.447-05"),
        ("national-number", "SSN 536-90-4399"),
        ("national-number", "NIR 2 53 12 45 007 011 70"),
        ("national-number", "BSN 1112.22.333"),
        ("name", "signed: ANN SMITH"),
        ("name", "AnnSmith, manager"),
        ("name", "zoe"),
        ("name", "Herr M\u00fcller"),
        ("pattern", "badge emp-12345"),
    ],
)
def test_it_is_found(personal: PersonalData, kind: str, line: str) -> None:
    assert kind in personal.kinds(line)


@pytest.mark.parametrize(
    "line",
    [
        "Total 1,234.50 EUR",
        "2024-01-15 12:30",
        "Best before 31.12.2026",
        "Serve at 180 degrees for 25 minutes",
        "LOT 4471 B2",
        "version 3.11.2",
        "annalise and zoology",
        "write to info@example.com",
        "4111 1111",
        "",
    ],
)
def test_other_text_is_left_alone(personal: PersonalData, line: str) -> None:
    assert personal.kinds(line) == ()


def test_only_what_the_policy_names_is_looked_for() -> None:
    only = PersonalData(TextPolicy(kinds=("email",)))
    assert only.kinds("ann@example.com +49 30 901820") == ("email",)


def test_unknown_numbers_and_broken_patterns_are_refused() -> None:
    with pytest.raises(Refused, match="no number 'xx"):
        PersonalData(TextPolicy(national_numbers=("xx.nothing",)))
    with pytest.raises(Refused, match=r"patterns\.badge"):
        PersonalData(TextPolicy(patterns={"badge": "("}))
