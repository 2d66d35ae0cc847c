"""What a filter worker makes its renderer of; imports little, since every worker does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everloop.policy import PrivacyPolicy
from everloop.privacy.render import Renderer, make_renderer
from everloop_runtime.images import ImageLimits


@dataclass(frozen=True)
class MakeRenderer:
    """Called once in each worker."""

    privacy: Mapping[str, Any]
    """The resolved policy, as JSON."""
    limits: Mapping[str, int]
    project: Path | None
    """Where `@product.moderate` is; None without one."""

    def __call__(self) -> Renderer:
        """The renderer; raises `Refused` for a filter that is missing."""
        policy = PrivacyPolicy.model_validate(self.privacy)
        hooks = []
        if self.project is not None:
            # The user's code, which may import anything: only where there is a hook in it.
            from everloop.training.project_code import load_product

            if hook := load_product(self.project).moderation:
                hooks.append(hook)
        return make_renderer(policy, ImageLimits(**self.limits), hooks)
