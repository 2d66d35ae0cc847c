"""The service's own description: an OpenAPI 3.1 document."""

from collections.abc import Mapping
from typing import Any

import msgspec

from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.answers.hits import Hits
from everloop_runtime.answers.kind import AnswerKind
from everloop_runtime.bundle import Bundle
from everloop_runtime.images import ImageSpec
from everloop_runtime.rows import RowSpec
from everloop_runtime.samples import Spec

_IMAGE = {"type": "string", "contentMediaType": "image/*"}
_BASE64 = {"type": "string", "contentEncoding": "base64"}
_ID = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_BUNDLE = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_JSON = "application/json"

_SCHEMAS: dict[str, Any] = {
    "Predictions": {
        "type": "object",
        "required": ["predictions"],
        "additionalProperties": False,
        "properties": {
            "predictions": {
                "type": "array",
                "items": {
                    "oneOf": [
                        {"$ref": "#/components/schemas/Prediction"},
                        {"$ref": "#/components/schemas/Problem"},
                    ]
                },
            }
        },
    },
    "Problem": {
        "type": "object",
        "required": ["error"],
        "additionalProperties": False,
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "remedy"],
                "additionalProperties": False,
                "properties": {
                    "code": {"type": "integer"},
                    "message": {"type": "string"},
                    "remedy": {"type": "string"},
                },
            }
        },
    },
    "Feedback": {
        "type": "object",
        "required": ["prediction_id", "kind", "value"],
        "additionalProperties": False,
        "properties": {
            "prediction_id": {"type": "string", "minLength": 1, "maxLength": 128},
            "kind": {"enum": ["label", "correction", "event"]},
            "value": {"description": "text for a label or correction; anything for an event"},
        },
    },
    "Status": {
        "type": "object",
        "required": ["instance", "pid", "workers", "ready", "generation", "champion", "bundles",
                     "capture", "served", "work"],
        "properties": {
            "instance": {"type": "string"},
            "pid": {"type": "integer"},
            "workers": {"type": "integer", "minimum": 1},
            "ready": {"type": "boolean"},
            "generation": {"type": "integer"},
            "complaint": {"type": ["string", "null"]},
            "champion": {"type": ["string", "null"]},
            "bundles": {"type": "object"},
            "capture": {"type": "object", "required": ["dropped", "late", "skipped", "complaint"]},
            "served": {"type": "object", "additionalProperties": {"type": "integer"}},
            "work": {"type": "object", "additionalProperties": {"type": "number"}},
        },
    },
    "V2Problem": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}},
    },
    "V2Model": {
        "type": "object",
        "required": ["name", "versions", "platform", "inputs", "outputs"],
        "properties": {
            "name": {"type": "string"},
            "versions": {"type": "array", "items": _BUNDLE},
            "platform": {"type": "string"},
            "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/V2Tensor"}},
            "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/V2Tensor"}},
        },
    },
    "V2Tensor": {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"type": "string"},
            "datatype": {"enum": ["BYTES", "UINT8", "FP32"]},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "parameters": {"type": "object"},
            "data": {"type": "array"},
        },
    },
    "V2Request": {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/V2Tensor"}},
            "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
        },
    },
    "V2Answer": {
        "type": "object",
        "required": ["model_name", "model_version", "outputs"],
        "properties": {
            "id": {"type": "string"},
            "model_name": {"type": "string"},
            "model_version": _BUNDLE,
            "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/V2Tensor"}},
        },
    },
}  # fmt: skip

_WHY = {
    400: "not a request, or not JSON",
    401: "no API key, or one that is not known",
    403: "another host's name, or a page of another host",
    404: "there is nothing here",
    405: "another method is wanted",
    408: "the request arrived too slowly",
    413: "too large",
    415: "not a picture",
    422: "a picture or a document that cannot be taken",
    429: "too many requests at once; see Retry-After",
    431: "the request's head is too large",
    500: "the model or the service failed",
    503: "not now; see Retry-After",
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: Any, kind: str = _JSON) -> dict[str, Any]:
    return {"content": {kind: {"schema": schema}}}


def _answers(
    good: dict[str, Any], bad: tuple[int, ...], *, code: int = 200, problem: str = "Problem"
) -> dict[str, Any]:
    refused = {
        str(status): {"description": _WHY[status], **_content(_ref(problem))} for status in bad
    }
    return {str(code): {"description": "done", **good}, **refused}


_EVERYWHERE = (401, 403, 405)
_TAKING = (400, *_EVERYWHERE, 408, 413, 422, 429, 431, 500, 503)


def _get(told: str, good: dict[str, Any], bad: tuple[int, ...] = _EVERYWHERE) -> dict[str, Any]:
    return {"get": {"summary": told, "responses": _answers(good, bad)}}


def _prediction(members: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an answer that has these members of its kind."""
    return {
        "type": "object",
        "required": ["prediction_id", *members, "bundle", "role"],
        "additionalProperties": False,
        "properties": {
            "prediction_id": _ID,
            **members,
            "bundle": _BUNDLE,
            "role": {"enum": ["champion", "canary", "variant", "fallback"]},
            "variant": {"type": "string"},
        },
    }


def _row_of(spec: RowSpec) -> dict[str, Any]:
    """The schema of a row; further columns are passed over."""
    members: dict[str, Any] = {}
    for feature in spec.features:
        plain: list[str] = ["number", "boolean"]
        if feature.categories is not None:
            plain = ["string", "number", "boolean"]
        members[feature.name] = {"type": [*plain, "null"] if feature.may_miss else plain}
    wanted = [feature.name for feature in spec.features if not feature.may_miss]
    return {"type": "object", "required": wanted, "properties": members}


def _taken(spec: Spec) -> dict[str, Any]:
    """What a request to predict may bring, by content type."""
    if isinstance(spec, RowSpec):
        one, many, item = "row", "rows", _row_of(spec)
    else:
        one, many, item = "image", "images", _BASE64
    forms = [
        {"type": "object", "required": [name],
         "properties": {name: schema, "key": {"type": "string"}}}
        for name, schema in ((one, item), (many, {"type": "array", "items": item}))
    ]  # fmt: skip
    told = {_JSON: {"schema": {"oneOf": forms}}}
    if isinstance(spec, RowSpec):
        return told
    form = {"type": "object", "properties": {"file": {"type": "array", "items": _IMAGE}}}
    return {
        "application/octet-stream": {"schema": _IMAGE},
        "multipart/form-data": {"schema": form},
        **told,
    }


def _paths(spec: Spec, *, searches: bool) -> dict[str, Any]:
    either = {"oneOf": [_ref("Prediction"), _ref("Predictions")]}
    key = {"name": "X-Everloop-Key", "in": "header", "schema": {"type": "string"},
           "description": "what a canary's share is drawn by: a user, a camera"}  # fmt: skip
    request_id = {"name": "X-Request-Id", "in": "header", "schema": {"type": "string"}}
    predict = {
        "summary": "Answer one sample, or several",
        "parameters": [key, request_id],
        "requestBody": {"required": True, "content": _taken(spec)},
        "responses": _answers(_content(either), (*_TAKING, 415)),
    }
    told = {"oneOf": [_ref("Feedback"), {"type": "object", "required": ["feedback"], "properties":
            {"feedback": {"type": "array", "items": _ref("Feedback")}}}]}  # fmt: skip
    accepted = {"type": "object", "required": ["accepted"],
                "properties": {"accepted": {"type": "integer"}}}  # fmt: skip
    feedback = {
        "summary": "Tell what became known of answers: labels, corrections, events",
        "requestBody": {"required": True, **_content(told)},
        "responses": _answers(_content(accepted), _TAKING, code=202),
    }
    flag = {"type": "object", "additionalProperties": {"type": "boolean"}}
    ready = _get("Whether a champion is loaded", _content(flag), (503,))
    return {
        "/v1/predict": {"post": predict},
        **({"/v1/search": {"post": predict}} if searches else {}),
        "/v1/feedback": {"post": feedback},
        "/v1/status": _get("What is loaded, applied and captured", _content(_ref("Status"))),
        "/v1/flush": {"post": {"summary": "Seal what was captured so far",
                               "responses": _answers(_content(flag), _EVERYWHERE)}},
        "/livez": _get("Whether the process answers", _content(flag), ()),
        "/readyz": ready,
        "/startupz": ready,
        "/metrics": _get("Figures for Prometheus", _content({"type": "string"}, "text/plain")),
        "/openapi.json": _get("This document", _content({"type": "object"})),
        **_v2_paths(),
    }  # fmt: skip


def _v2_paths() -> dict[str, Any]:
    bad = (400, 401, 403, 404, 405, 413, 415, 422, 429, 500, 503)
    infer = {
        "summary": "Answer images given as tensors",
        "requestBody": {"required": True, "content": {
            _JSON: {"schema": _ref("V2Request")},
            "application/octet-stream": {"schema": {"type": "string"}}}},
        "responses": _answers(
            {"content": {_JSON: {"schema": _ref("V2Answer")},
                         "application/octet-stream": {"schema": {"type": "string"}}}},
            bad, problem="V2Problem"),
    }  # fmt: skip
    server = {"type": "object", "required": ["name", "version", "extensions"]}
    names = [("name", "/v2/models/{name}"), ("version", "/v2/models/{name}/versions/{version}")]
    paths: dict[str, Any] = {
        "/v2": _get("The server", _content(server)),
        "/v2/health/live": _get("Whether the process answers", {}, ()),
        "/v2/health/ready": _get("Whether a champion is loaded", {}, ()),
    }
    for at, (_, path) in enumerate(names, 1):
        parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                      for name, _ in names[:at]]  # fmt: skip
        metadata = _get("The model's tensors", _content(_ref("V2Model")), ())
        paths[path] = {"parameters": parameters, **metadata}
        paths[f"{path}/ready"] = {"parameters": parameters, **_get("Whether it answers", {}, ())}
        paths[f"{path}/infer"] = {"parameters": parameters, "post": infer}
    return paths


def document(bundle: Bundle | None) -> bytes:
    """The document as JSON, for the champion; as for one class of an image while there is none."""
    if bundle is None:
        return _document(ImageSpec(1, 1, 3), ClassProbabilities(()))
    return _document(bundle.manifest.spec, bundle.answers)


def _document(spec: Spec, kind: AnswerKind) -> bytes:
    schemas = {"Prediction": _prediction(kind.schema()), **_SCHEMAS}
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Everloop prediction service",
                "version": "1",
                "description": "Samples in, answers out, each captured.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": _paths(spec, searches=kind.name == Hits.name),
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer"},
                    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                },
            },
            "security": [{}, {"bearer": []}, {"key": []}],
        }
    )
