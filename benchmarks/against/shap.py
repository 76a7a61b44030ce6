"""shap's side of the pairs.

``GradientExplainer`` estimates expected gradients: the gradient at random points between the example and a random
background, times the displacement. Ours draw other points, so that maps agree up to the sampling errors of both. With a
background of one image the expectation is integrated gradients from it: both compute the same quantity from as many
gradients, shap by chance and we by quadrature. It is asked for the highest-ranked class alone, which is every image's
label here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import shap
import torch

from benchmarks.against.pair import Pair
from benchmarks.against.subjects import Subject
from benchmarks.against.torch_side import Explain, Open, Setting

BACKGROUNDS = 4


def _background(subject: Subject, n: int) -> np.ndarray:
    """Return gray images, from black at the first on."""
    levels = np.arange(n, dtype=np.float32).reshape(n, *[1] * (subject.images.ndim - 1)) / n
    return np.broadcast_to(levels, (n, *subject.images.shape[1:])).copy()


def _expected(samples: int, n: int = BACKGROUNDS) -> Open:
    @contextmanager
    def open_peer(subject: Subject, setting: Setting) -> Iterator[Explain]:
        background = setting.tensor(_background(subject, n)).to(setting.device)
        explainer = shap.GradientExplainer(setting.network(subject.original), background, batch_size=setting.inner)

        def explain(x: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
            maps, _ = explainer.shap_values(x, nsamples=samples, ranked_outputs=1, rseed=0)
            return np.asarray(maps)[..., 0]

        yield explain

    return open_peer


PAIRS = (
    Pair(
        "shap",
        "expected_gradients",
        "GradientExplainer",
        _expected,
        lambda subject, samples: {"background": _background(subject, BACKGROUNDS), "n_samples": samples},
        cost="samples",
        differs="other random points: equal up to the sampling errors of both",
        inner=True,
    ),
    Pair(
        "shap",
        "integrated_gradients",
        "GradientExplainer, background of one",
        lambda samples: _expected(samples, 1),
        lambda subject, samples: {"baseline": np.zeros(subject.images.shape[1:], np.float32), "n_steps": samples},
        cost="samples",
        differs="random points on the path there, quadrature here: equal up to its sampling error",
        inner=True,
    ),
)
