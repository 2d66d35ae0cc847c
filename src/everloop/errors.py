"""The three errors a caller can act on, shared by both planes."""

from everloop_runtime.errors import Conflict, EverloopError, Refused, Unavailable

__all__ = ["Conflict", "EverloopError", "Refused", "Unavailable"]
