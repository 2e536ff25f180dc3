"""Images in nanomaggies to RGB, as the viewer of the Legacy Surveys shows them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# g, r and z are shown as blue, green and red. Scales, floor and softening are those of the viewer for these bands
# (github.com/legacysurvey/imagine, `dr2_rgb`).
SCALES = np.array([6.0, 3.4, 2.2], dtype=np.float32)
FLOOR = np.float32(0.03)
SOFTENING = np.float32(20.0)


def asinh_rgb(grz: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """RGB by the asinh of the mean of the bands, so that bright cores keep their colour.

    Lupton et al. 2004 (PASP 116, 133), section 2: each band is multiplied by f(I) / I, where I is the mean of the
    scaled bands and f(I) = asinh(Q I) / √Q.

    Parameters
    ----------
    grz : ndarray of shape (3, height, width)
        Nanomaggies a pixel in g, r, z; what is not finite counts as empty sky.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8
    """
    bands = np.nan_to_num(grz.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0) * SCALES[:, None, None] + FLOOR
    mean = np.maximum(bands, 0).mean(axis=0)
    # A pixel below the floor in every band is black; asinh(0) / 0 would be the only other meaning.
    stretch = np.arcsinh(SOFTENING * mean) / np.sqrt(SOFTENING) / np.where(mean == 0, 1, mean)
    bgr = np.clip(bands * stretch, 0, 1)
    rgb: NDArray[np.uint8] = np.rint(255 * bgr[::-1]).astype(np.uint8).transpose(1, 2, 0)
    return rgb
