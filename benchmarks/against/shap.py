"""shap's side of the pairs.

``GradientExplainer`` estimates expected gradients: the gradient at random points between the example and a random
background, times the displacement. jaxplain has no expected gradients yet (``MISSING``). With a background of one image
their expectation is integrated gradients from it, so that both compute the same quantity from as many gradients, shap
by chance and we by quadrature; its maps then agree up to its sampling error. It is asked for the highest-ranked class
alone, which is every image's label here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import shap
import torch

from benchmarks.against.pair import Pair
from benchmarks.against.subjects import Subject
from benchmarks.against.torch_side import Explain, Open, Setting

MISSING = {"expected_gradients": "GradientExplainer: jaxplain has no expected gradients yet"}


def _expected(samples: int) -> Open:
    @contextmanager
    def open_peer(subject: Subject, setting: Setting) -> Iterator[Explain]:
        background = torch.zeros_like(setting.tensor(subject.images[:1]), device=setting.device)
        explainer = shap.GradientExplainer(setting.network(subject.original), background, batch_size=setting.inner)

        def explain(x: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
            maps, _ = explainer.shap_values(x, nsamples=samples, ranked_outputs=1, rseed=0)
            return np.asarray(maps)[..., 0]

        yield explain

    return open_peer


PAIRS = (
    Pair(
        "shap",
        "integrated_gradients",
        "GradientExplainer, background of one",
        _expected,
        lambda subject, samples: {"baseline": np.zeros(subject.images.shape[1:], np.float32), "n_steps": samples},
        cost="samples",
        differs="random points on the path there, quadrature here: equal up to its sampling error",
        inner=True,
    ),
)
