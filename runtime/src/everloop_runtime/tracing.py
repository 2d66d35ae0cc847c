"""Spans of requests for OpenTelemetry, as children of the W3C trace context that came with them."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from everloop_runtime.errors import Refused
from everloop_runtime.head import Request

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult

Target = Literal["otlp", "log"]
_NAMED = frozenset({"/v1/predict", "/v1/feedback", "/v1/status", "/v1/flush"})
_SERVER_ERROR = 500


class Tracer:
    """Makes a span of each request: its name is the method and route, never a client's text."""

    def __init__(self, target: Target) -> None:
        """`otlp`: sent as the OTEL_EXPORTER_OTLP_* variables say; `log`: a line of the log each.

        Raises `Refused` when what it needs is not installed.
        """
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise Refused(
                "traces need OpenTelemetry: pip install 'everloop-runtime[traces]'"
            ) from error
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "everloop"}), shutdown_on_exit=False
        )
        exporter = _log_exporter() if target == "log" else _otlp_exporter()
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("everloop_runtime")
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, request: Request) -> None:
        """Begin the span of a request; it ends with the answer."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        names = ("traceparent", "tracestate")
        carried = {
            name: request.headers[name.encode()].decode("latin-1")
            for name in names
            if name.encode() in request.headers
        }
        route = request.path if request.path in _NAMED else "/v2" * request.path.startswith("/v2")
        span = self._tracer.start_span(
            f"{request.method} {route or 'other'}",
            context=self._propagator.extract(carried),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": request.method, "http.route": route},
        )

        def end(status: int) -> None:
            span.set_attribute("http.response.status_code", status)
            if status >= _SERVER_ERROR:
                span.set_status(Status(StatusCode.ERROR))
            span.end()

        request.when_answered = end

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _otlp_exporter() -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise Refused(
            "traces need the OTLP exporter: pip install 'everloop-runtime[traces]'"
        ) from error
    return OTLPSpanExporter()


def _log_exporter() -> Any:
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    log = logging.getLogger("everloop_runtime.spans")

    class LogExporter(SpanExporter):
        """One line of the log a span."""

        def export(self, spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
            for span in spans:
                context, parent = span.get_span_context(), span.parent
                log.info(
                    span.name,
                    extra={
                        "fields": {
                            "trace_id": f"{context.trace_id:032x}" if context else "",
                            "parent_id": f"{parent.span_id:016x}" if parent else "",
                            "status": dict(span.attributes or {}).get("http.response.status_code"),
                        }
                    },
                )
            return SpanExportResult.SUCCESS

    return LogExporter()
