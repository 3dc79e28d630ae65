"""Features projected onto two dimensions: by principal components, or by t-SNE (van der Maaten and Hinton 2008).

UMAP would do what t-SNE does; it needs Numba and LLVM, which weigh more than the map is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import CxrError

Floats = NDArray[np.floating]

AXES = 50  # principal components that t-SNE, neighbors and probes start from
PERPLEXITY = 30  # scikit-learn's own, so that maps look as people know them; less for few X-rays
FEWEST = 5  # X-rays of a map


class Method(StrEnum):
    """How features become two coordinates."""

    PCA = "pca"
    TSNE = "tsne"


@dataclass(frozen=True, eq=False)
class Projection:
    """The place of each X-ray on a map."""

    method: Method
    places: NDArray[np.float32]  # (films, 2)
    explained: tuple[float, float] | None  # the share of the variance along each axis; None where it has no meaning


def principal_axes(features: Floats, count: int = AXES, seed: int = 0) -> tuple[Floats, Floats]:
    """The standardized features along their principal components, and the share of the variance along each."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    if len(features) < FEWEST:
        raise CxrError(f"A map needs at least {FEWEST} X-rays that can be read.", code="too-few")
    with threadpool_limits(1):
        standard = StandardScaler().fit_transform(features.astype(float))
        pca = PCA(min(count, *standard.shape), random_state=seed)
        return pca.fit_transform(standard), pca.explained_variance_ratio_


def project(features: Floats, method: Method, seed: int = 0) -> Projection:
    """The X-rays' places on a map; CxrError where there are too few."""
    axes, shares = principal_axes(features, seed=seed)
    if method == Method.PCA:
        return Projection(method, axes[:, :2].astype(np.float32), (float(shares[0]), float(shares[1])))
    return Projection(method, _tsne(axes, seed), None)


def _tsne(axes: Floats, seed: int) -> NDArray[np.float32]:
    """Places that keep neighbors together; distances between groups mean little."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(PERPLEXITY, (len(axes) - 1) / 3)
    with threadpool_limits(1):  # on a busy machine its threads wait for each other far longer than they work
        found = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(axes)
    return np.asarray(found, np.float32)
