"""The addresses behind receivers' names: of the environment, or of a file of secrets."""

from collections.abc import Mapping
from pathlib import Path

from everloop.errors import Refused

_OTHERS = 0o077


class Receivers:
    """Addresses hold secrets: they are looked up when they are used, and never printed."""

    def __init__(self, environment: Mapping[str, str], secrets: Path | None) -> None:
        self._environment, self._secrets = environment, secrets

    def __repr__(self) -> str:
        return f"Receivers({self._secrets})"

    def address(self, name: str) -> str:
        """A receiver's address. Raises `Refused` when nobody has told it."""
        found = self._file().get(name) or self._environment.get(name)
        if not found:
            places = "the environment" if self._secrets is None else f"{self._secrets} nor set"
            raise Refused(f"the address of {name} is not in {places}: set {name}=...")
        return found

    def _file(self) -> Mapping[str, str]:
        path = self._secrets
        if path is None:
            return {}
        try:
            if path.stat().st_mode & _OTHERS:
                raise Refused(f"others may read {path}: chmod 600 it")
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise Refused(f"[alerting] secrets: there is no {path}") from None
        pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
        return {name.strip(): value.strip() for name, sign, value in pairs if sign}
