"""How much maps change with batch and chunk: every method, on a smooth and on a ReLU network.

    python -m benchmarks.invariance [--images 64]

Maps for batches of 1, 7 and 64 images and chunks of 1, 3 and all samples are compared with those for a batch of 64 and
chunks of 8, as relative L2 differences per image; the largest and the 99th percentile over images and variants are
printed. Noise is compared exactly: explaining the images in another order, in equal batches.

Aims: rounding on the smooth network; a 99th percentile of at most 1e-2 on the ReLU network, where a gate at zero may
flip; noise equal to the last bit.
"""

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.record import facts, keep
from jaxplain._registry import METHODS, Entry
from jaxplain.core.model import Model
from jaxplain.core.targets import Predicted
from jaxplain.engine.explain import explain
from jaxplain.testing.networks import SHAPE, images, relu_network, smooth_network
from jaxplain.testing.promises import example_keywords

KEY = jax.random.key(0)
N_SAMPLES = 10


def keywords(entry: Entry) -> dict[str, Any]:
    """Return context and knobs for a method."""
    knobs = {word: N_SAMPLES for word in ("n_samples", "n_steps") if word in entry.knobs}
    return {**example_keywords(entry, jnp.zeros(SHAPE)), **knobs}


def differences(entry: Entry, model: Model, x: np.ndarray) -> np.ndarray:
    """Return the relative L2 difference of every image under every variant."""

    def maps(**variant: Any) -> np.ndarray:
        found = explain(model, x, Predicted(), method=entry.name, **keywords(entry), **variant)
        return found.reshape(len(x), -1)

    chunks = (1, 3, 1000) if "chunk" in entry.knobs else (None,)
    variants = [
        {"batch": batch} | ({} if chunk is None else {"chunk": chunk}) for batch in (1, 7, 64) for chunk in chunks
    ]
    want = maps(batch=64, **({"chunk": 8} if "chunk" in entry.knobs else {}))
    size = np.linalg.norm(want, axis=1) + np.finfo(np.float32).tiny
    return np.stack([np.linalg.norm(maps(**variant) - want, axis=1) / size for variant in variants])


def noise_is_the_image_s(entry: Entry, x: np.ndarray) -> bool:
    """Tell whether the maps in another order of the images are the same, to the last bit."""
    order = np.random.default_rng(0).permutation(len(x))
    ids = np.arange(len(x), dtype=np.uint64) + 2**40
    given = {"method": entry.name, "batch": 16, **keywords(entry)}
    there = explain(smooth_network(), x, Predicted(), ids=ids, **given)
    back = explain(smooth_network(), x[order], Predicted(), ids=ids[order], **given)
    return bool(np.array_equal(back, there[order]))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    x = images(parser.parse_args().images)
    rows = {}
    print(f"{'method':22} {'smooth, largest':>16} {'ReLU, 99th percentile':>22} {'ReLU, largest':>14}  noise exact")
    for name in sorted(METHODS):
        entry = METHODS[name]
        relu = differences(entry, relu_network(), x)
        smooth = None if entry.notes.get("needs_relu") else float(differences(entry, smooth_network(), x).max())
        exact = noise_is_the_image_s(entry, x) if "key" in entry.context else None
        rows[name] = {
            "smooth, largest": smooth,
            "relu, 99th percentile": float(np.percentile(relu, 99)),
            "relu, largest": float(relu.max()),
            "noise exact": exact,
        }
        word = {None: "", True: "yes", False: "NO"}[exact]
        figures = f"{'' if smooth is None else f'{smooth:.1e}':>16} {np.percentile(relu, 99):22.1e} {relu.max():14.1e}"
        print(f"{name:22} {figures}  {word}")
    print(f"written to {keep('invariance', {**facts(), 'images': len(x), 'methods': rows})}")


if __name__ == "__main__":
    main()
