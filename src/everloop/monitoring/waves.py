"""Random waves: what is added up of embeddings so that whole distributions can be compared.

The mean over answers of cosines and sines of random directions (random Fourier features: Rahimi and
Recht 2007) stands for the mean embedding of a Gaussian kernel. The squared distance of two such
means is the maximum mean discrepancy (Gretton et al. 2012; with random features: Zhao and Meng
2015, "FastMMD"), and the means of parts add up, which those of a kernel's matrix do not.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WAVES = 64
_PAIRS = 2000
_MOST = 2000
"""Answers of one sketch whose waves are added up."""
_SEED = 20120301


@dataclass(frozen=True, slots=True)
class Waves:
    """Waves fitted to the hold-out's projected embeddings."""

    directions: "NDArray[np.float32]"
    """`[P, 64]`, with the scale of the axes in them."""
    mean: "NDArray[np.float64]"
    """Of cosines and sines over the hold-out, `[128]`."""
    cumulants: "NDArray[np.float64]"
    """Traces of their covariance and of its second and third power, `[3]`."""

    @staticmethod
    def fitted(projected: "NDArray[np.float32]") -> "Waves":
        """Waves as long as the median distance of two of `[n, P]`, each axis by its spread."""
        import numpy as np

        generator = np.random.default_rng(_SEED)
        spread = projected.std(axis=0) + np.float32(1e-9)
        scaled = (projected / spread).astype(np.float64)
        first, second = generator.integers(0, len(scaled), (2, _PAIRS))
        apart = np.linalg.norm(scaled[first] - scaled[second], axis=1)
        width = float(np.median(apart[apart > 0])) if (apart > 0).any() else 1.0
        drawn = generator.standard_normal((projected.shape[1], _WAVES)) / width
        directions = (drawn / spread[:, None]).astype(np.float32)
        seen = _seen(projected, directions)
        covariance = np.cov(seen, rowvar=False)
        square = covariance @ covariance
        cumulants = np.array([np.trace(covariance), np.trace(square), (square * covariance).sum()])
        return Waves(directions, seen.mean(axis=0), cumulants)

    def sums(self, projected: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """Of the cosines and sines of `[n, P]`, and of how many that were, `[129]`.

        Of many only some are taken, spread over them: 128 waves cost more than all other figures.
        """
        import numpy as np

        some = projected[:: -(-len(projected) // _MOST) or 1]
        return np.append(_seen(some, self.directions).sum(axis=0), len(some))

    def p_value(self, sums: "NDArray[np.float64]", held_out: int) -> float:
        """How likely so large a discrepancy is when nothing changed.

        Without a change it is a weighted sum of chi-squares; approximated by its first three
        cumulants (Hall 1983, Buckley and Eagleson 1988; compared by Bodenham and Adams 2016).
        """
        from scipy.stats import chi2

        *_, count = sums
        if not count or not self.cumulants[1] > 0:
            return 1.0
        apart = sums[:-1] / count - self.mean
        size = count * held_out / (count + held_out)
        found = size * float(apart @ apart)
        mean, variance, skew = self.cumulants * (1.0, 2.0, 8.0)
        freedom = 8 * variance**3 / skew**2
        scaled = (found - mean) / variance**0.5 * (2 * freedom) ** 0.5 + freedom
        return float(chi2.sf(scaled, freedom))


def _seen(
    projected: "NDArray[np.float32]", directions: "NDArray[np.float32]"
) -> "NDArray[np.float64]":
    import numpy as np

    phases = projected @ directions
    both = np.concatenate([np.cos(phases), np.sin(phases)], axis=1)
    found: NDArray[np.float64] = both.astype(np.float64) / directions.shape[1] ** 0.5
    return found
