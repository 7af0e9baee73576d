"""The linear mixed model by REML, from sums over each subject: fast enough for a page with 50,000 subjects.

y = X b + Z_i u_i + e, u_i ~ N(0, s2 L L'), e ~ N(0, s2 I). The criterion is the profiled REML deviance of Bates et al.
2015 (doi 10.18637/jss.v067.i01, section 3.4); degrees of freedom are the inner and outer ones of Pinheiro and Bates
2000, section 2.4.2, as R's nlme gives them. statsmodels and R's nlme are the oracles of its tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]

_GAIN = 1e-4  # of the deviance by one more step of the search: less than this, and it has arrived
_BOUNDARY = 1e-4  # a relative standard deviation below this counts as none
_CORRELATED = 0.999  # random effects correlated beyond this are one effect


@dataclass(frozen=True)
class MixedFit:
    """Estimates in units of y: `coefficients` (p,), their `covariance` (p, p), `random_covariance` (q, q)."""

    coefficients: Array
    covariance: Array
    random_covariance: Array
    residual_variance: float
    log_likelihood: float  # restricted
    converged: bool
    at_boundary: bool  # a random effect has no variance, or two are one: the model has more of them than the data tell


@dataclass(frozen=True)
class _Sums:
    """What the criterion needs of the data: cross products, over all values and within each subject."""

    n: int
    beside: Array  # (p + 1, p + 1) of [X y] with itself
    zz: Array  # (q, q, subjects)
    zxy: Array  # (q, p + 1, subjects): of Z with [X y]


@dataclass(frozen=True)
class _Point:
    """The criterion and what belongs to it at one L, with s2 taken out."""

    coefficients: Array
    inverse: Array  # of X' V^-1 X
    residual_variance: float
    deviance: float
    slope: Array  # (q, q) of the deviance by the lower triangle of L


def fit_mixed_model(y: Array, x: Array, z: Array, subject: NDArray[np.int64]) -> MixedFit:
    """Fit by REML. y (n,), x (n, p) of full rank, z (n, q) with q 1 or 2, subject (n,) numbered 0 to m - 1.

    Raises ValueError for shapes that do not fit or when n <= p.
    """
    n, p = x.shape
    q = z.shape[1]
    if y.shape != (n,) or z.shape[0] != n or subject.shape != (n,) or q not in (1, 2):
        raise ValueError(f"shapes do not fit: y {y.shape}, x {x.shape}, z {z.shape}, subject {subject.shape}")
    if n <= p:
        raise ValueError(f"{n} values do not determine {p} coefficients")
    scale = float(np.std(y)) or 1.0
    sums = _take_sums(y / scale, x, z, subject)
    lower = np.tril_indices(q)

    def criterion(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        point = _point(_factor(theta, q), sums)
        return point.deviance, np.asarray(point.slope[lower])

    # No bounds: the sign of L's diagonal says nothing, and at 0 the slope is 0 whether or not that is the lowest point.
    found = minimize(criterion, np.eye(q)[lower], jac=True, method="BFGS", options={"gtol": 1e-7 * n, "maxiter": 200})
    theta = np.asarray(found.x, dtype=np.float64)
    point = _point(_factor(theta, q), sums)
    random = _factor(theta, q) @ _factor(theta, q).T * point.residual_variance
    return MixedFit(
        coefficients=point.coefficients * scale,
        covariance=point.inverse * point.residual_variance * scale**2,
        random_covariance=random * scale**2,
        residual_variance=point.residual_variance * scale**2,
        log_likelihood=-0.5 * point.deviance - (n - p) * float(np.log(scale)),
        converged=_arrived(point, point.slope[lower], np.asarray(found.hess_inv)),
        at_boundary=_at_boundary(random, point.residual_variance),
    )


def inner_outer_df(n_values: int, n_subjects: int, *, inner: int, outer: int) -> tuple[int, int]:
    """Degrees of freedom of effects that vary within subjects, and of those that do not, the intercept not counted."""
    return n_values - n_subjects - inner, n_subjects - 1 - outer


def _take_sums(y: Array, x: Array, z: Array, subject: NDArray[np.int64]) -> _Sums:
    m = int(subject.max()) + 1
    beside = np.column_stack([x, y])

    def within(left: Array, right: Array) -> Array:
        return np.bincount(subject, weights=left * right, minlength=m).astype(np.float64)

    return _Sums(
        n=len(y),
        beside=beside.T @ beside,
        zz=np.stack([np.stack([within(left, right) for right in z.T]) for left in z.T]),
        zxy=np.stack([np.stack([within(left, right) for right in beside.T]) for left in z.T]),
    )


def _factor(theta: Array, q: int) -> Array:
    factor = np.zeros((q, q))
    factor[np.tril_indices(q)] = theta
    return factor


def _point(factor: Array, sums: _Sums) -> _Point:
    """The profiled REML deviance at L = `factor`, and its slope."""
    q, p = len(factor), len(sums.beside) - 1
    determinant, weights = _weights(factor, sums.zz)
    # Woodbury: V^-1 = I - Z W Z' with W = L (I + L' Z'Z L)^-1 L', so Z' V^-1 [X y] = (I - Z'Z W) Z'[X y]
    weighted = _times(weights, sums.zxy)
    left = sums.zxy - _times(sums.zz, weighted)  # (q, p + 1, subjects)
    whole = sums.beside - sum(sums.zxy[a] @ weighted[a].T for a in range(q))
    information = whole[:p, :p]
    coefficients = np.linalg.solve(information, whole[:p, p])
    df = sums.n - p
    squares = max(float(whole[p, p] - coefficients @ whole[:p, p]), float(np.finfo(float).tiny))
    inverse = np.linalg.inv(information)
    deviance = float(np.log(determinant).sum()) + float(np.linalg.slogdet(information)[1])
    deviance += df * (1.0 + float(np.log(2 * np.pi * squares / df)))

    gap = left[:, p] - np.tensordot(coefficients, left[:, :p], axes=(0, 1))  # Z' V^-1 (y - X b), (q, subjects)
    explained = _times(sums.zz, _times(weights, sums.zz))
    by_variance = (sums.zz - explained).sum(axis=-1) - df / squares * (gap @ gap.T)
    for a in range(q):
        for b in range(q):
            by_variance[a, b] -= float(np.sum(inverse * (left[a, :p] @ left[b, :p].T)))
    return _Point(
        coefficients=coefficients,
        inverse=inverse,
        residual_variance=squares / df,
        deviance=deviance,
        slope=2.0 * by_variance @ factor,
    )


def _weights(factor: Array, zz: Array) -> tuple[Array, Array]:
    """Determinant (subjects,) of I + L' Z'Z L, and L times its inverse times L', (q, q, subjects)."""
    inside = np.tensordot(factor.T, np.tensordot(factor.T, zz, axes=1).swapaxes(0, 1), axes=1).swapaxes(0, 1)
    inside = inside + np.eye(len(factor))[:, :, None]
    if len(factor) == 1:
        determinant, adjugate = inside[0, 0], np.ones_like(inside)
    else:
        determinant = inside[0, 0] * inside[1, 1] - inside[0, 1] ** 2
        adjugate = np.stack([np.stack([inside[1, 1], -inside[0, 1]]), np.stack([-inside[0, 1], inside[0, 0]])])
    spread = np.tensordot(factor, np.tensordot(factor, adjugate, axes=1).swapaxes(0, 1), axes=1).swapaxes(0, 1)
    return determinant, spread / determinant


def _times(left: Array, right: Array) -> Array:
    """Matrix product for every subject: (q, q, subjects) with (q, r, subjects)."""
    q = len(left)
    return np.stack([np.sum([left[a, b] * right[b] for b in range(q)], axis=0) for a in range(q)])


def _arrived(point: _Point, slope: Array, inverse_curvature: Array) -> bool:
    """Whether one more step would lower the deviance by next to nothing."""
    to_gain = 0.5 * float(slope @ inverse_curvature @ slope)
    return bool(np.isfinite(point.deviance)) and abs(to_gain) < _GAIN


def _at_boundary(random: Array, residual: float) -> bool:
    spread = np.sqrt(np.diag(random) / residual)
    if bool((spread < _BOUNDARY).any()):
        return True
    return len(random) == 2 and abs(random[0, 1]) > _CORRELATED * float(np.sqrt(random[0, 0] * random[1, 1]))
