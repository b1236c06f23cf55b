"""Robust figures from noisy runs: medians, and intervals that assume nothing of how the noise is distributed."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

COVERAGE = 0.95


class Estimate(NamedTuple):
    """A median, with the interval that holds the true one in 95 of 100 repetitions, and the least of the samples."""

    median: float
    low: float
    high: float
    least: float
    samples: int

    def text(self, digits: int = 2) -> str:
        """The median and its interval, as a table shows them."""
        return f"{self.median:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def estimate(samples: Sequence[float]) -> Estimate:
    """
    The median and its sign-test interval.

    The interval lies between two of the sorted samples, chosen so that fair coins would put the true median outside
    at most one time in twenty; with fewer than six samples that is impossible, and it is all of their range.
    """
    ordered = sorted(samples)
    cut = interval_cut(len(ordered))
    return Estimate(statistics.median(ordered), ordered[cut], ordered[-1 - cut], ordered[0], len(ordered))


def interval_cut(number: int) -> int:
    """How many samples may be left out at each end."""
    allowed = (1 - COVERAGE) / 2 * 2**number
    outside = 0
    for cut in range(number // 2):
        outside += math.comb(number, cut)
        if outside > allowed:
            return max(0, cut - 1)
    return max(0, number // 2 - 1)


def ratios(ours: Sequence[float], base: Sequence[float]) -> list[float]:
    """Each pair of one round as a ratio."""
    return [one / other for one, other in zip(ours, base, strict=True)]


def differences(ours: Sequence[float], base: Sequence[float]) -> list[float]:
    """Each pair of one round as a difference."""
    return [one - other for one, other in zip(ours, base, strict=True)]
