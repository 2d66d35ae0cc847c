"""Changed cameras: what happens to pictures before they are sent."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps


@dataclass(frozen=True)
class Camera:
    """A way of taking pictures."""

    name: str
    rotation: float = 0.0
    """Degrees, anticlockwise."""
    blur: float = 0.0
    """Radius of a Gaussian blur, pixels."""
    contrast: float = 1.0
    """1 leaves it."""
    brightness: float = 1.0
    """1 leaves it."""
    noise: float = 0.0
    """Standard deviation of noise, grey levels."""
    inverted: bool = False

    def describe(self) -> str:
        """Its settings, for people."""
        parts = [
            f"rotated {self.rotation:g} degrees" if self.rotation else "",
            f"blurred by {self.blur:g} px" if self.blur else "",
            f"contrast {self.contrast:g}" if self.contrast != 1 else "",
            f"brightness {self.brightness:g}" if self.brightness != 1 else "",
            f"noise of {self.noise:g} grey levels" if self.noise else "",
            "inverted" if self.inverted else "",
        ]
        return ", ".join(part for part in parts if part)

    def take(self, png: bytes) -> bytes:
        """The same scene through this camera, as PNG; the same picture gives the same bytes."""
        image = Image.open(io.BytesIO(png)).convert("L")
        image = image.rotate(self.rotation, Image.Resampling.BICUBIC)
        if self.blur:
            image = image.filter(ImageFilter.GaussianBlur(self.blur))
        image = ImageEnhance.Contrast(image).enhance(self.contrast)
        image = ImageEnhance.Brightness(image).enhance(self.brightness)
        if self.noise:
            generator = np.random.default_rng(int.from_bytes(png[-8:], "big"))
            grey = np.asarray(image) + generator.normal(0, self.noise, (image.height, image.width))
            image = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
        if self.inverted:
            image = ImageOps.invert(image)
        out = io.BytesIO()
        image.save(out, "PNG")
        return out.getvalue()


CAMERAS = {
    camera.name: camera
    for camera in (
        Camera("tilted", rotation=35, blur=1.2, contrast=0.6),
        Camera("noisy", noise=90, contrast=0.8),
        Camera("inverted", inverted=True, blur=0.5),
        Camera("turned", rotation=-50, brightness=0.7),
    )
}
