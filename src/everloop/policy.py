"""The policy of a product: what `everloop.toml` may say, with its defaults.

Every field is explained under it. `parse_policy` turns the file's text into a `Policy` or
refuses it with one message that lists every mistake, its line, what was found and what is
allowed.
"""

import re
from datetime import timedelta
from importlib.metadata import entry_points
from ipaddress import ip_network
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from everloop_runtime.listening import is_loopback

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def read_duration(value: object) -> timedelta:
    """A duration such as `"500ms"`, `"30s"`, `"10m"`, `"2h"` or `"7d"`."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a duration such as "500ms", "30s", "10m", "2h" or "7d" is wanted')
    try:
        return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
    except OverflowError as error:
        raise ValueError("a duration of less than 999999999 days is wanted") from error


Duration = Annotated[
    timedelta,
    BeforeValidator(read_duration),
    PlainSerializer(lambda value: f"{value.total_seconds():g}s", return_type=str),
]
Share = Annotated[float, Field(gt=0, lt=1)]


def _growing(shares: tuple[float, ...]) -> tuple[float, ...]:
    if list(shares) != sorted(set(shares)):
        raise ValueError("each step's share must be larger than the one before")
    return shares


def _metadata_first(filters: tuple[str, ...]) -> tuple[str, ...]:
    if "metadata" not in filters:
        raise ValueError('"metadata" must be among the filters: it cannot be switched off')
    if len(set(filters)) != len(filters):
        raise ValueError("each filter is named once")
    return filters


CHOOSING = ("badge", "coreset", "entropy", "hybrid", "margin", "random", "typical-first")
"""The built-in strategies of choosing samples to label."""


def _installed_strategy(name: str) -> str:
    # Installed plug-ins are looked for only where the name is none of ours: it takes a while.
    if name in CHOOSING:
        return name
    others = {point.name for point in entry_points(group="everloop.labelling")}
    if name not in others:
        told = ", ".join(sorted({*CHOOSING, *others}))
        raise ValueError(f"there is no such strategy; there are: {told}")
    return name


def _network(text: str) -> str:
    ip_network(text)
    return text


Network = Annotated[str, AfterValidator(_network)]
Part = Annotated[float, Field(ge=0, le=1)]
Strategy = Literal["canary", "shadow-then-canary", "blue-green"]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
Corruption = Literal[
    "gaussian-noise", "shot-noise", "blur", "brightness", "darkness", "contrast", "jpeg",
    "rotation", "pixelate", "occlusion", "missing", "noise", "shift", "unknown",
]  # fmt: skip


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataPolicy(_Table):
    """`[data]`: where labelled and unlabelled pictures come from."""

    sources: tuple[str, ...] = ("data/labelled",)
    """Folders and archives, relative to the project, or `s3://bucket/prefix`: class folders,
    COCO, VOC, YOLO, tables, Label Studio exports, or pictures without labels."""
    holdout_share: Share = 0.2
    """The share of samples kept out of training for good, chosen by the hash that `split` names."""
    split: Literal["content", "group", "time"] = "group"
    """What decides the side of a new sample, unless its source gives it one. `group`: the hash of
    its group, so that one patient or one session is on one side. `time`: whether it was taken
    before `holdout_from`. `content`: the hash of its bytes, also for samples without a group or a
    time. Nothing that has a side ever changes it."""
    holdout_from: AwareDatetime | None = None
    """With `split = "time"`: samples taken at or after this moment (`2026-05-01T00:00:00Z`) are
    hold-out."""
    formats: dict[str, str] = Field(default_factory=dict)
    """The format of a source, where it cannot be told from its files: a source to a format's
    name, such as `{ "data/boxes" = "yolo" }`."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Which column of a table says what, where its name does not tell, such as
    `{ label = "fine_label" }`."""
    out_of_image: Literal["refuse", "clip"] = "refuse"
    """A picture with a box that reaches beyond its edges is set aside, or the box is cut."""
    leaks: Literal["refuse", "allow"] = "refuse"
    """Near duplicates of which one is in training and the other in the hold-out flatter every
    model: no snapshot is taken until one of the two is left out (`everloop data exclude`)."""
    max_pixels: Count = 50_000_000
    """A picture of more pixels is not decoded."""
    max_bytes: Count = 20_000_000
    """A file of more bytes is not read."""

    @model_validator(mode="after")
    def _moment_for_time(self) -> "DataPolicy":
        if self.split == "time" and self.holdout_from is None:
            raise ValueError('split = "time" wants holdout_from, the moment the hold-out begins')
        return self


class StoragePolicy(_Table):
    """`[storage]`: where samples, labels, snapshots and captured answers lie."""

    root: str = ""
    """Empty: in the project's own `.everloop/data`. A path: in that folder (relative to the
    project). `s3://bucket/prefix`: on S3, or on anything that speaks it; a prefix belongs to one
    product. Credentials are never written here: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
    `AWS_SESSION_TOKEN` of the environment are used, else the machine's own role."""
    endpoint: str = ""
    """Where an S3-compatible store answers, such as `http://127.0.0.1:9000`; empty: AWS."""
    region: str = "us-east-1"
    """The region of the bucket."""
    timeout: Duration = timedelta(seconds=20)
    """The longest that one request to the store may take."""
    patience: Duration = timedelta(seconds=60)
    """A request that fails is repeated for this long; then the step waits and is tried again."""
    options: dict[str, str] = Field(default_factory=dict)
    """Handed as they are to a storage scheme that a plug-in brings."""


class TrainPolicy(_Table):
    """`[train]`: when and how a model is learnt."""

    min_labels: Count = 50
    """Labelled training samples needed before the first model."""
    new_labels: Count = 50
    """New labels since the last snapshot that are worth another model."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """What all randomness of a run starts from."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 2
    """Threads of one training run; part of what makes a run repeatable."""
    timeout: Duration = timedelta(hours=1)
    """A run that takes longer is ended."""
    memory: Part = 0.9
    """The share of the machine's memory that a run may ask for, before it fails with the line that
    asked; 0 sets no bound. On a machine with a GPU none is set."""
    checkpoint: Duration = timedelta(seconds=10)
    """The shortest time between two checkpoints of a run."""
    params: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Handed to the training function as they are."""


Step = Literal["train", "tune", "evaluate", "verify", "filter", "check", "batch"]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class RayPolicy(_Table):
    """`[ray]`: the cluster that jobs run on where `compute = "ray"`."""

    address: str = "127.0.0.1:6379"
    """Where its head answers: `host:port` from one of its nodes, `ray://host:10001` from elsewhere.
    Beyond this machine it must have token authentication (`RAY_AUTH_MODE=token`)."""
    resources: dict[Step, dict[str, Amount]] = Field(default_factory=dict)
    """What a job of a step needs of a node: `cpus` (1), `gpus` (0), `memory_gib`, and others by the
    names that the nodes were started with, such as `{ train = { cpus = 4, gpus = 1 } }`."""


class GatePolicy(_Table):
    """`[gates]`: what a candidate must show on the hold-out before it may go on."""

    absolute: dict[str, float] = Field(default_factory=lambda: {"accuracy": 0.8})
    """Metric (or a fact of `[evaluation]`) and the least value it may have."""
    at_most: dict[str, float] = Field(default_factory=dict)
    """Metric or fact and the largest value it may have, such as
    `{ expected_calibration_error = 0.05, latency_p95_ms = 20, bundle_mib = 50 }`."""
    significance: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """A candidate significantly worse than the champion at this level is stopped."""
    slice_min_samples: Count = 20
    """Slices with fewer hold-out samples are reported, not judged."""
    slice_min_accuracy: Annotated[float, Field(ge=0, le=1)] = 0.5
    """No judged slice may be less accurate than this."""
    slices: dict[str, float] = Field(default_factory=dict)
    """A slice by its name (`"class=cat"`, `"camera=phone"`) and the least mean quality there."""
    max_loss: dict[str, float] = Field(default_factory=dict)
    """Metric and how much of it may be lost against the champion: stopped unless the paired
    bootstrap's 95% interval shows that no more is."""


class EvaluationPolicy(_Table):
    """`[evaluation]`: what is measured of a new bundle beside its metrics."""

    robustness: bool = False
    """Whether it is tried on damaged samples: noise, blur, brightness, contrast, JPEG, rotation,
    pixelate and occlusion of pictures; missing, noisy, shifted and unknown columns of rows."""
    corruptions: tuple[Corruption, ...] = ()
    """Those that are tried, by name; empty: all that fit the task."""
    severities: tuple[Annotated[int, Field(ge=1, le=5)], ...] = (1, 3, 5)
    """How strongly, from 1 to 5."""
    robustness_samples: Count = 256
    """How many samples of the hold-out are damaged at most, drawn by their ids."""
    budget: Duration = timedelta(seconds=60)
    """About how long robustness may take, and as long again the explanations; where a model is
    slow, fewer samples are looked at."""
    examples: Annotated[int, Field(ge=0, le=50)] = 8
    """How many of the worst answers the card shows, as pictures that passed `[privacy]`."""
    explain: bool = True
    """Whether the card tells what answers hang on: permutation importance of columns, occlusion
    maps of pictures."""


class CardPolicy(_Table):
    """`[card]`: what people say of the model, for its card."""

    intended_use: str = ""
    """What it is for, and for whom."""
    out_of_scope: str = ""
    """What it must not be used for."""
    limits: tuple[str, ...] = ()
    """Known limits, one each."""
    contact: str = ""
    """Whom to ask."""


class ApprovalPolicy(_Table):
    """`[approval]`: who lets a candidate that passed its gates go live."""

    by: Literal["rule", "person"] = "rule"
    """`rule`: passing the gates is enough. `person`: `everloop models approve` is awaited."""
    four_eyes: bool = False
    """Whether who trained a model, or labelled what it learnt from or was measured on, cannot
    approve it alone; nor may who disagrees about a label decide it. Only with `by = "person"`."""
    checklist: dict[str, str] = Field(default_factory=dict)
    """Questions by a short name, each to be answered with yes by a person for every candidate
    before it is approved, such as `{ groups = "Was each age group looked at?" }`."""

    @model_validator(mode="after")
    def _eyes_are_peoples(self) -> Self:
        if self.four_eyes and self.by == "rule":
            raise ValueError('four_eyes is about people: say by = "person" too')
        return self


class VerifyPolicy(_Table):
    """`[verify]`: the hold-out replayed through the candidate's own live service."""

    tolerance: Annotated[float, Field(gt=0, lt=0.5)] = 0.001
    """The largest difference of a probability between evaluation and the live service."""


class BundlePolicy(_Table):
    """`[bundle]`: what a bundle must carry."""

    calibration: Literal["temperature", "none"] = "temperature"
    """`temperature`: probabilities are scaled to mean what they say, fitted on the hold-out."""
    precision: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The bundle states from which confidence on this share of answers is right; 0 states none."""
    require_signature: bool = False
    """Whether the service refuses bundles that no trusted key has signed."""
    trusted_keys: tuple[str, ...] = ()
    """Public keys (`ed25519:...`), as `everloop package keys` prints them."""
    signing_key: str = ""
    """A private key's file; bundles that passed their gates are signed with it when registered."""

    @model_validator(mode="after")
    def _somebody_can_sign(self) -> Self:
        if self.require_signature and not self.trusted_keys:
            raise ValueError("require_signature needs a key in trusted_keys")
        return self


class RolloutPolicy(_Table):
    """`[rollout]`: how traffic moves to a verified candidate, and what sends it back."""

    strategy: Strategy = "canary"
    """`canary`: by growing shares. `shadow-then-canary`: on copies of requests first.
    `blue-green`: all at once, as soon as the candidate is loaded, verified and warm."""
    shares: Annotated[tuple[Share, ...], Field(min_length=1), AfterValidator(_growing)] = (0.1, 0.5)
    """The canary's share of traffic at each step, growing."""
    shadow_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """How much of the traffic is copied to a shadow."""
    min_requests: Count = 100
    """Requests a candidate must have answered before a step is held healthy."""
    min_labelled: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    """Answers of the candidate whose truth must be known before a step is held healthy."""
    soak: Duration = timedelta(minutes=10)
    """How long a candidate must stay healthy at each step."""
    false_alarm_rate: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """The chance that a candidate within all limits is sent back, over its whole rollout."""
    max_error_rate: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """A candidate that fails more often is sent back."""
    max_latency_ratio: Annotated[float, Field(ge=1)] = 3.0
    """One slower than the champion by more than this (95th or 99th percentile) is sent back."""
    max_confidence_drop: Annotated[float, Field(gt=0, le=1)] = 0.25
    """One whose mean confidence is lower than the champion's by more is sent back."""
    max_disagreement: Annotated[float, Field(gt=0, le=1)] = 0.5
    """A shadow that answers more requests otherwise than the champion is sent back."""
    max_answer_shift: Annotated[float, Field(gt=0, le=1)] = 0.25
    """One whose share of answers of some class is off the champion's by more is sent back."""
    max_accuracy_loss: Annotated[float, Field(ge=0, le=1)] = 0.02
    """One that known labels show to be wrong more often by more than this is sent back."""
    max_class_loss: Annotated[float, Field(ge=0, le=1)] = 0.1
    """The same for each class by itself."""
    event: str = ""
    """The business event that is compared, more of which is better; none by default."""
    event_most: Annotated[float, Field(gt=0)] = 1.0
    """The most one answer can earn of it; more counts as this."""
    max_event_loss: Annotated[float, Field(ge=0, le=1)] = 0.05
    """One that earns less of it an answer, by more than this part of the most, is sent back."""
    watch: Duration = timedelta(hours=1)
    """After a promotion the champion before stays loaded so long; a breach goes back to it."""
    deadline: Duration = timedelta(seconds=5)
    """A candidate that takes longer has failed on that request; the champion answers."""
    lease: Duration = timedelta(seconds=30)
    """Without renewal for this long a candidate's share returns to the champion."""


class MonitorPolicy(_Table):
    """`[monitor]`: how the live model is watched without labels."""

    window: Annotated[int, Field(ge=20, le=1_000_000)] = 200
    """Answers in one tumbling window."""
    false_alarm_rate: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    """The chance that a window without drift is called drifted; of each other signal the chance
    that it says something of one without reason."""
    harm: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """An estimated loss of accuracy larger than this asks for new labels."""
    confirm: Annotated[int, Field(ge=1, le=100)] = 2
    """Harmful windows in a row before the loop acts."""
    calm: Annotated[int, Field(ge=1, le=100)] = 2
    """Windows in a row without harm after which it has ceased."""
    errors: Literal["e-detector", "adwin", "ddm", "hddm", "page-hinkley"] = "e-detector"
    """What looks for a change of meaning in labels that came later. The others are River's
    (everloop[river]); `ddm` and `page-hinkley` state no rate of false alarms."""
    inputs: Annotated[int, Field(ge=0, le=10_000)] = 64
    """Inputs of each window, and of each segment of captured answers, that are read again and
    measured: brightness, sharpness and others of pictures, the columns of rows. 0: none."""
    every: Annotated[Duration, Field(ge=timedelta(seconds=10))] = timedelta(hours=1)
    """How often what was served is looked at: errors, latency, events, cost."""
    max_error_rate: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """More requests that fail, by more than chance, are an alarm."""
    max_latency: Duration = timedelta(seconds=1)
    """95% of the answers are to be there within this time."""
    max_queue: Count = 100
    """More images that wait for a model are an alarm."""
    max_event_loss: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Answers that earn less than before by more than this share, by more than chance, are one."""
    max_core_seconds: Annotated[float, Field(ge=0)] = 0
    """Core-seconds that a thousand answers may take; 0 sets no limit."""
    label_price: Annotated[float, Field(ge=0)] = 0
    """What one label costs, in money; 0 where nobody says."""


class PrelabelPolicy(_Table):
    """`[labelling.prelabel]`: the live model's answers taken for labels without a person."""

    precision: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Answers are taken from the confidence on above which the hold-out shows (with 95%
    certainty) that this share is right, such as 0.99; 0: none, people answer every task."""
    audit_share: Share = 0.1
    """The share of such answers that people are asked about all the same. Where these show that
    the promise is broken, that model's are taken no more, and people are asked about the rest."""


class LabellingPolicy(_Table):
    """`[labelling]`: how people's time is spent."""

    strategy: Annotated[str, AfterValidator(_installed_strategy)] = "hybrid"
    """How samples to learn from are chosen: `hybrid`, `margin`, `entropy`, `badge`, `coreset`,
    `typical-first`, `random`, or what a plug-in brings."""
    budget: Count = 150
    """Label tasks in one round."""
    random_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    """The part of those to learn from that is drawn at random and marked so: what is measured on
    them is true of all samples, not only of the hard ones."""
    holdout_share: Share = 0.3
    """The part of a round drawn at random for the hold-out: evaluation follows the world."""
    cooldown: Duration = timedelta(hours=1)
    """The least time between two rounds."""
    again: Duration = timedelta(days=1)
    """The least time between two rounds for harm that never ceased in between."""
    daily: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    """The most label tasks that are made in 24 hours; 0 sets no bound."""
    audit: Count = 40
    """Samples drawn at random for people when the input changed and no harm is estimated."""
    audit_every: Duration = timedelta(days=1)
    """How long an audit that found no harm stands while the drift goes on."""
    patience: Duration = timedelta(days=2)
    """After this the loop goes on with the answers it has."""
    lease: Duration = timedelta(minutes=10)
    """How long a task stays with the person who took it."""
    overlap: Annotated[int, Field(ge=1, le=10)] = 1
    """How many people look at the same sample, so that their answers can be compared."""
    overlap_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """The part of a round's samples that so many people look at, drawn at random."""
    gold_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The part of a round that asks about hold-out samples whose label is known. Labellers cannot
    tell them apart, and no label is made of the answers: they say how good labellers are."""
    same_object: Share = 0.5
    """Boxes of one class by two people stand for the same object when their intersection over
    union is this much."""
    prelabel: PrelabelPolicy = PrelabelPolicy()
    """Answers taken for labels without a person."""


class LabelStudioPolicy(_Table):
    """`[label_studio]`: a Label Studio server on which people answer instead of the page."""

    url: str = ""
    """Where it answers, such as `https://labels.example.org`; empty: none. Its access token is
    never written here: `LABEL_STUDIO_API_KEY` of the environment is used."""
    project: Annotated[int, Field(ge=0)] = 0
    """The number of its project; 0 finds the one with the title, or makes it."""
    title: str = ""
    """The title of the project; empty: `Everloop: ` and the product's name."""

    @model_validator(mode="after")
    def _is_an_address(self) -> Self:
        if self.url and not re.fullmatch(r"https?://[^\s@?#]+", self.url):
            raise ValueError("url is an http or https address without credentials")
        return self


class FacesPolicy(_Table):
    """`[privacy.faces]`: the filter `faces` and what it blurs."""

    min_score: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """A region scored lower is left as it is; a lower bound blurs more, wrongly too."""
    margin: Annotated[float, Field(ge=0, le=2)] = 0.25
    """How far beyond the face is blurred, in parts of its size: hair and ears tell who it is."""


class TextPolicy(_Table):
    """`[privacy.text]`: the filter `text` and which read text it blacks out."""

    kinds: tuple[
        Literal["email", "phone", "card", "iban", "national-number", "name", "pattern"], ...
    ] = ("email", "phone", "card", "iban", "national-number", "name", "pattern")
    """Which personal data is looked for."""
    phone_regions: tuple[str, ...] = ("US", "GB", "DE", "FR", "ES", "IT", "PL", "NL")
    """Countries whose phone numbers are known also without `+` and the country's code."""
    national_numbers: tuple[str, ...] = (
        "be.nn", "bg.egn", "br.cpf", "ch.ssn", "cz.rc", "de.idnr", "dk.cpr", "ee.ik", "es.dni",
        "es.nie", "fi.hetu", "fr.nir", "hr.oib", "it.codicefiscale", "lt.asmens", "nl.bsn",
        "no.fodselsnummer", "pl.pesel", "pt.cc", "ro.cnp", "se.personnummer", "tr.tckimlik",
        "us.ssn",
    )  # fmt: skip
    """Numbers of persons, as python-stdnum names them; those with a check digit are checked."""
    names: tuple[str, ...] = ()
    """Names of people that are blacked out wherever they are read, whatever their case."""
    names_file: str | None = None
    """A text file in the project with more names, one a line."""
    patterns: dict[str, str] = Field(default_factory=dict)
    """Regular expressions of the product's own, by the name under which they are reported."""
    allow: tuple[str, ...] = ()
    """Texts that are never personal here, such as the company's own phone number."""
    min_score: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Lines read with less confidence are not looked at."""


class PrivacyPolicy(_Table):
    """`[privacy]`: what is taken out of a picture before a labeller, person or vendor, sees it."""

    filters: Annotated[tuple[str, ...], AfterValidator(_metadata_first)] = ("metadata",)
    """`metadata` always: labellers get a fresh encoding of the pixels. `faces`, `text` and
    installed plug-ins when they are named; one that is not installed closes the gate."""
    regions: tuple[tuple[Part, Part, Part, Part], ...] = ()
    """Always blacked out: left, top, width, height, in parts of the upright picture."""
    moderators: tuple[str, ...] = ()
    """Installed plug-ins that may hold a picture back; `@product.moderate` needs no naming."""
    max_side: Annotated[int, Field(ge=16, le=16384)] = 2048
    """A larger picture is made this long; the filters look at exactly what labellers will see."""
    format: Literal["auto", "png", "jpeg", "webp"] = "auto"
    """What labellers get; `auto` is PNG up to 65,536 pixels and JPEG above."""
    quality: Annotated[int, Field(ge=1, le=100)] = 90
    """Of JPEG and WebP."""
    options: dict[str, dict[str, bool | int | float | str]] = Field(default_factory=dict)
    """Settings of plug-ins, by their names."""
    faces: FacesPolicy = FacesPolicy()
    """The filter `faces`."""
    text: TextPolicy = TextPolicy()
    """The filter `text`."""
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    """Pictures filtered at once, each in a process of its own."""
    patience: Duration = timedelta(seconds=60)
    """A picture whose filters take longer is held back."""
    timeout: Duration = timedelta(hours=2)
    """Filtering a round of label tasks that takes longer is ended."""


class FeedbackPolicy(_Table):
    """`[feedback]`: what becomes of what clients say of answers later."""

    labels: Literal["client", "person", "keep"] = "client"
    """True labels are annotations of this kind; `keep`: of none, they judge rollouts only."""
    corrections: Literal["client", "person", "keep"] = "person"
    """The same for corrections."""


class ServePolicy(_Table):
    """`[serve]`: the prediction service."""

    host: str = "127.0.0.1"
    """The address it listens on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8600
    """Its port; 0 takes any free one."""


class TrackingPolicy(_Table):
    """`[tracking]`: MLflow's own page over the runs and versions."""

    ui: bool = True
    """Whether `everloop up` starts it."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8601
    """Its port; 0 takes any free one."""


class OidcPolicy(_Table):
    """`[web.oidc]`: logging in at the organisation's own provider (OpenID Connect)."""

    issuer: str = ""
    """The provider, as it calls itself: `https://login.example.org/realm`. Empty: tokens alone."""
    client: str = ""
    """What the provider calls these pages. Their secret, where they have one, stands in the
    environment: EVERLOOP_OIDC_SECRET."""
    address: str = ""
    """The pages as browsers reach them; the provider must know `ADDRESS/login/oidc/back`."""
    scope: str = "openid email profile"
    """What is asked of the provider."""
    name: str = "email"
    """The claim that names a person in all records; without it, the provider's own id does."""
    claim: str = "groups"
    """The claim that roles are read from."""
    roles: dict[Literal["viewer", "labeller", "approver", "administrator"], tuple[str, ...]] = {}
    """For each role the values of that claim that give it; of several the last here counts.
    Who has none is not let in."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.issuer:
            return self
        for name in ("issuer", "address"):
            url = urlsplit(getattr(self, name))
            safe = url.scheme == "https" or is_loopback(url.hostname or "")
            if url.scheme not in {"http", "https"} or not url.hostname or not safe:
                raise ValueError(f"{name} is no https:// address: {getattr(self, name)!r}")
        if not self.client or not any(self.roles.values()):
            raise ValueError("issuer wants a client, and roles that say who gets in")
        return self


class WebPolicy(_Table):
    """`[web]`: the pages for people."""

    on: bool = True
    """Whether `everloop up` starts them; `everloop web` does by itself."""
    host: str = "127.0.0.1"
    """The address they listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8602
    """Their port; 0 takes any free one."""
    hosts: tuple[str, ...] = ()
    """Names by which browsers address them, besides this machine's own (`localhost`)."""
    certificate: str = ""
    """A file with the certificate chain (PEM), seen from the project: the pages speak TLS then."""
    key: str = ""
    """The file with its private key."""
    without_tls: bool = False
    """Whether an address that others can reach may do without TLS, as behind a proxy that has it.
    Everything, tokens too, can be read on the way then."""
    session: Duration = timedelta(hours=12)
    """How long somebody stays logged in."""
    oidc: OidcPolicy = OidcPolicy()

    @model_validator(mode="after")
    def _closed_by_default(self) -> Self:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key belong together: name both, or none")
        if not (self.certificate or self.without_tls or is_loopback(self.host)):
            raise ValueError(
                f"others can reach {self.host}: name a certificate and its key, "
                "or say without_tls = true"
            )
        return self


class ReportPolicy(_Table):
    """`[report]`: what people are told regularly."""

    on: bool = True
    """Whether the loop writes reports."""
    every: Annotated[Duration, Field(ge=timedelta(minutes=1))] = timedelta(days=1)
    """How long a time one tells of."""
    at: Duration = timedelta(hours=6)
    """When it is written: so long after midnight, UTC."""
    to: tuple[Name, ...] = ()
    """Names of receivers it is sent to, as in `[[alerts]]`."""
    attach: tuple[Literal["html", "pdf"], ...] = ("html",)
    """What goes with it where a receiver takes files; `pdf` needs Chromium, and where that is
    missing, the HTML goes. All others get the link."""
    keep: Count = 90
    """So many of the newest are kept."""


class AlertingPolicy(_Table):
    """`[alerting]`: how alarms are gathered and delivered; `[[alerts]]` says who hears of which."""

    group: Duration = timedelta(seconds=30)
    """How long an alarm waits for others before it is told with them; one that is over by then is
    not told at all."""
    interval: Duration = timedelta(minutes=5)
    """The least time between two messages of one rule, escalations aside: a storm is told as one
    message, and then as one every so often."""
    link: str = ""
    """Where those who are told reach the pages, such as `https://everloop.example.org`; empty: at
    their own address."""
    secrets: str = ""
    """A file with a line `NAME=address` for each receiver, seen from the project, that only its
    owner may read; names that are not in it are looked for in the environment."""
    internal: tuple[Network, ...] = ()
    """Networks that are not public and may still be sent to, such as `"10.1.0.0/16"`; any other
    internal address is refused at the moment of connecting."""
    timeout: Duration = timedelta(seconds=30)
    """How long one attempt to deliver may take."""
    longest_pause: Duration = timedelta(minutes=5)
    """Attempts that fail are repeated after growing pauses, this one at most, without end."""


class AlertRule(_Table):
    """`[[alerts]]`: who is told of what; as many as there are audiences."""

    name: Name
    """What the rule is called."""
    what: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    """Kinds of alarm, such as `"service-down"` or `"signal:*"`; `*` stands for anything."""
    level: Literal["info", "warning", "critical"] = "warning"
    """Alarms below this level are not told."""
    to: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of receivers. Their addresses are never written here: see `[alerting] secrets`."""
    escalate_to: tuple[Name, ...] = ()
    """Told too when nobody has acknowledged in time."""
    escalate_after: Duration = timedelta(hours=1)
    """How long an acknowledgement is waited for."""
    resolved: bool = True
    """Whether the end of an alarm is told too."""


def _distinct(rules: tuple[AlertRule, ...]) -> tuple[AlertRule, ...]:
    names = [rule.name for rule in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"each rule has a name of its own; {twice[0]!r} is there twice")
    return rules


class LoopPolicy(_Table):
    """`[loop]`: the reconciler itself."""

    interval: Duration = timedelta(seconds=1)
    """The pause between two looks at the world."""
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    """Failed attempts after which an Action is given up."""


class Policy(_Table):
    """All of `everloop.toml`."""

    level: Literal[0, 1, 2]
    """0: learn, verify and serve. 1: and canary, capture, monitor. 2: and close the loop."""
    compute: Literal["local", "ray"] = "local"
    """Where jobs (training, tuning, evaluation, replay, filtering, checks of data, batches) run: on
    this machine, or on the nodes of a Ray cluster."""
    data: DataPolicy = DataPolicy()
    storage: StoragePolicy = StoragePolicy()
    train: TrainPolicy = TrainPolicy()
    ray: RayPolicy = RayPolicy()
    gates: GatePolicy = GatePolicy()
    evaluation: EvaluationPolicy = EvaluationPolicy()
    card: CardPolicy = CardPolicy()
    approval: ApprovalPolicy = ApprovalPolicy()
    bundle: BundlePolicy = BundlePolicy()
    verify: VerifyPolicy = VerifyPolicy()
    rollout: RolloutPolicy = RolloutPolicy()
    monitor: MonitorPolicy = MonitorPolicy()
    labelling: LabellingPolicy = LabellingPolicy()
    label_studio: LabelStudioPolicy = LabelStudioPolicy()
    privacy: PrivacyPolicy = PrivacyPolicy()
    feedback: FeedbackPolicy = FeedbackPolicy()
    serve: ServePolicy = ServePolicy()
    tracking: TrackingPolicy = TrackingPolicy()
    web: WebPolicy = WebPolicy()
    report: ReportPolicy = ReportPolicy()
    alerting: AlertingPolicy = AlertingPolicy()
    alerts: Annotated[tuple[AlertRule, ...], AfterValidator(_distinct)] = ()
    loop: LoopPolicy = LoopPolicy()
