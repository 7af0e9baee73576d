"""Agreement of two readers on a decision beyond what chance would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """n: results that both decided on. agreed: of these, with the same decision. kappa: None where it is undefined."""

    n: int
    agreed: int
    kappa: float | None


def cohen_kappa(pairs: Sequence[tuple[str, str]]) -> Agreement:
    """Cohen's kappa (Cohen 1960) of (first, second) decisions.

    (observed - expected) / (1 - expected); undefined with no pairs, or where both readers only ever said one and the
    same thing.
    """
    n = len(pairs)
    agreed = sum(a == b for a, b in pairs)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    expected = sum(first[word] * second[word] for word in first)  # times n squared
    kappa = (agreed * n - expected) / (n * n - expected) if n and expected != n * n else None
    return Agreement(n=n, agreed=agreed, kappa=kappa)
