"""Pictures and their boxes, changed as another day's camera might show them."""

import torch
from torch.nn import functional

ZOOM, SHIFT = 0.25, 0.2
"""At most: the logarithm of the scale, and the shift in halves of the picture."""
LIGHT, OFFSET = 0.15, 0.1
"""At most: how much brighter each colour is, and by how much all are lifted."""
SEEN = 0.3
"""An object of which less is left in the picture is not taught."""


def augmented(
    images: torch.Tensor, labels: list[torch.Tensor]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Each image `[N, C, H, W]` mirrored, scaled, shifted and lit at random, its objects
    `[n, 5]` with it.
    """
    count = len(images)
    scale = torch.exp(uniform(count, 1) * ZOOM) * torch.where(torch.rand(count, 2) < 0.5, -1.0, 1.0)
    shift = uniform(count, 2) * SHIFT
    maps = torch.zeros(count, 2, 3)
    maps[:, 0, 0], maps[:, 1, 1], maps[:, :, 2] = 1 / scale[:, 0], 1 / scale[:, 1], shift
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    lit = moved * (1 + LIGHT * uniform(count, images.shape[1], 1, 1))
    lit = (lit + OFFSET * uniform(count, 1, 1, 1)).clamp(0, 1)
    return lit, [moved_objects(*one) for one in zip(labels, scale, shift, strict=True)]


def moved_objects(objects: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """The objects that are still seen, cut at the picture's edges."""
    corners = ((2 * objects[:, 1:].reshape(-1, 2, 2) - 1 - shift) * scale + 1) / 2
    whole = torch.cat([corners.amin(1), corners.amax(1)], dim=1)
    cut = whole.clamp(0, 1)
    seen = (cut[:, 2:] - cut[:, :2]).prod(1) > SEEN * (whole[:, 2:] - whole[:, :2]).prod(1)
    return torch.cat([objects[:, :1], cut], dim=1)[seen]


def uniform(*shape: int) -> torch.Tensor:
    """Numbers from -1 to 1."""
    return 2 * torch.rand(*shape) - 1
