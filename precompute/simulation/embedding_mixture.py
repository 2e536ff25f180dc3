"""Embeddings without images: a mixture of Gaussians for each class, fitted to galaxies that were rendered.

Fitted to embedding and parameters (`KEYS`) together, and drawn given the parameters: a bright red galaxy's row lies
among those of bright red galaxies, so that an image rendered for it on demand looks like its neighbours' images. What
the keys do not tell is drawn at random, so two rows that are near need not look alike in every detail: rows of the
mixture measure speed and size, never the quality of a search.

The descriptor gives 78 numbers at most. Wider embeddings, as networks have, are those laid into more dimensions by a
fixed isometry, with a little noise in all of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import logsumexp, ndtr
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from .rendering.parameters import CLASSES, PURPOSE_EMBEDDING, Parameters, draw_parameters
from .rendering.random_streams import draw_normals

_Doubles = NDArray[np.float64]

NATURAL = 20_000  # galaxies as they come; a rare class is filled up from those that follow
MIN_MEMBERS = 300
CANDIDATES = 600_000
MEMBERS_PER_COMPONENT = 350
MAX_COMPONENTS = 12
REGULARISATION = 2e-4  # added to variances: embeddings of few members would else lie in a plane
NOISE = 0.1  # length of what is added in dimensions that the descriptor does not have
KEYS = ("mag_z", "log_radius", "axis_ratio", "g_r", "strength", "log_seeing")
# Spread of each key over all galaxies; divided by it and by `KEY_WEIGHT`, keys vary about as embeddings do.
KEY_SCALE = np.array([1.0, 0.4, 0.25, 0.25, 0.3, 0.12])
KEY_WEIGHT = 6.0


class Component(NamedTuple):
    """One Gaussian of a class, ready to draw embeddings given keys.

    Attributes
    ----------
    log_weight : float
        Of the component, and of the normalisation of its keys.
    keys : ndarray of shape (k,)
        Their mean.
    whiten : ndarray of shape (k, k)
        Inverse of the lower Cholesky factor of their covariance.
    embedding : ndarray of shape (d,)
        Mean of the embeddings.
    slope : ndarray of shape (d, k)
        Change of the mean embedding with whitened keys.
    spread : ndarray of shape (d, d)
        Lower Cholesky factor of the covariance that the keys leave.
    """

    log_weight: float
    keys: _Doubles
    whiten: _Doubles
    embedding: _Doubles
    slope: _Doubles
    spread: _Doubles


class Mixture:
    """Mixtures of all classes.

    Parameters
    ----------
    components : list of list of Component
        By class.
    dimension : int
        Of the rows that are drawn; at least that of the components.
    """

    def __init__(self, components: list[list[Component]], dimension: int) -> None:
        self._components = components
        self._fitted = components[0][0].embedding.size
        self.dimension = dimension
        random = np.random.default_rng(0).normal(size=(dimension, self._fitted))
        self._isometry: _Doubles = np.linalg.qr(random).Q.T

    @classmethod
    def fit(cls, parameters: Parameters, embeddings: NDArray[np.float32], *, dimension: int = 0) -> Mixture:
        """Fit to galaxies that were rendered, of every class.

        Parameters
        ----------
        parameters : ndarray of shape (n,), dtype PARAMETERS
        embeddings : ndarray of shape (n, d), float32
            Unit rows.
        dimension : int
            Of the rows to draw; 0 takes d.
        """
        joint = np.concatenate([embeddings.astype(np.float64), _keys(parameters)], axis=1)
        true_class, d = parameters["true_class"], embeddings.shape[1]
        with threadpool_limits(limits=1, user_api="blas"):
            return cls([_fit_class(joint[true_class == index], d) for index in range(len(CLASSES))], dimension or d)

    def sample(self, seed: int, parameters: Parameters) -> NDArray[np.float16]:
        """Embeddings of galaxies, unit rows of shape (n, d), float16, each from a stream of its own."""
        count = self._fitted + 1 + (self.dimension if self.dimension > self._fitted else 0)
        drawn = draw_normals(seed, parameters["number"], PURPOSE_EMBEDDING, count).astype(np.float64)
        normals, chance, noise = drawn[:, : self._fitted], ndtr(drawn[:, self._fitted]), drawn[:, self._fitted + 1 :]
        keys = _keys(parameters)
        embeddings = np.empty((len(parameters), self._fitted))
        for index, components in enumerate(self._components):
            rows = np.flatnonzero(parameters["true_class"] == index)
            whitened = np.stack([(keys[rows] - c.keys) @ c.whiten.T for c in components])
            weight = np.stack(
                [c.log_weight - 0.5 * (w**2).sum(axis=1) for c, w in zip(components, whitened, strict=True)]
            )
            cumulative = np.exp(weight - logsumexp(weight, axis=0)).cumsum(axis=0)
            chosen = np.minimum((cumulative < chance[rows]).sum(axis=0), len(components) - 1)
            for k, component in enumerate(components):
                mine = chosen == k
                embeddings[rows[mine]] = (
                    component.embedding
                    + whitened[k, mine] @ component.slope.T
                    + normals[rows[mine]] @ component.spread.T
                )
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        if self.dimension > self._fitted:
            embeddings = embeddings @ self._isometry + NOISE / np.sqrt(self.dimension) * noise
            embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        return embeddings.astype(np.float16)


def fitting_numbers(seed: int) -> NDArray[np.int64]:
    """Numbers of the galaxies to render: the first `NATURAL`, then members of the classes that are rare among them."""
    true_class = draw_parameters(seed, np.arange(CANDIDATES))["true_class"]
    chosen = [np.arange(NATURAL)]
    for index in range(len(CLASSES)):
        members = np.flatnonzero(true_class == index)
        already = int(np.searchsorted(members, NATURAL))
        chosen.append(members[already:MIN_MEMBERS])
    return np.concatenate(chosen).astype(np.int64)


def _keys(parameters: Parameters) -> _Doubles:
    columns = np.column_stack(
        [
            parameters["mag_z"],
            np.log(parameters["radius"]),
            parameters["axis_ratio"],
            parameters["mag_g"] - parameters["mag_r"],
            parameters["strength"],
            np.log(parameters["seeing_r"]),
        ]
    )
    scaled: _Doubles = columns / (KEY_SCALE * KEY_WEIGHT)
    return scaled


def _fit_class(joint: _Doubles, dimension: int) -> list[Component]:
    count = min(max(len(joint) // MEMBERS_PER_COMPONENT, 1), MAX_COMPONENTS)
    fitted = GaussianMixture(count, reg_covar=REGULARISATION, random_state=0, max_iter=60, tol=1e-2).fit(joint)
    components = []
    for weight, mean, covariance in zip(fitted.weights_, fitted.means_, fitted.covariances_, strict=True):
        factor = np.linalg.cholesky(covariance[dimension:, dimension:])
        whiten = linalg.solve_triangular(factor, np.eye(len(factor)), lower=True)
        slope = covariance[:dimension, dimension:] @ whiten.T
        left = covariance[:dimension, :dimension] - slope @ slope.T
        components.append(
            Component(
                log_weight=float(np.log(weight) - np.log(np.diag(factor)).sum()),
                keys=mean[dimension:],
                whiten=whiten,
                embedding=mean[:dimension],
                slope=slope,
                spread=np.linalg.cholesky(left),
            )
        )
    return components
