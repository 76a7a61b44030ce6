"""Explain arrays in memory: a model, four methods, one picture.

The network is made by hand, so that we know what it looks at: logit k sums the light inside disc k.

    python examples/01_explain_arrays.py        (writes runs/01_explain_arrays.png)
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxplain

data = jaxplain.synthetic.aligned(4, seed=0, strength=3.0)  # 24x24 images of noise; each label lights up one disc


def light_in_discs(discs, batch):
    """Map a batch (n, h, w, 1) to logits (n, 3): any function of parameters and a batch is a network."""
    return jnp.einsum("nhw,khw->nk", jax.nn.softplus(batch[..., 0]), discs)


model = jaxplain.from_function(light_in_discs, jnp.asarray(data.masks, jnp.float32))

# What is explained: one logit per image. jaxplain.Predicted() would take the one that the network ranks highest.
target = jaxplain.Logit(jnp.array([0, 1, 2, 0]))

# Maps have the images' shape, (4, 24, 24, 1): signed, unscaled, channels kept.
explain = {
    "gradient": {},
    "smoothgrad": {"key": jax.random.key(0), "n_samples": 16},
    "integrated_gradients": {"baseline": 0.0},
    "occlusion": {"baseline": 0.0, "window": (3, 3), "stride": (1, 1)},
}
maps = {
    method: jaxplain.explain(model, data.images, target, method=method, **knobs) for method, knobs in explain.items()
}

# From raw maps to a picture by named steps: keep the sign, sum the channels, divide each map by its maximum.
steps = jaxplain.MapSteps(sign="signed", pool="sum", scale="max")
rows = [list(steps(values, channel_axis=True, map_axes=2)) for values in maps.values()]
pictures = [np.repeat(jaxplain.plots.displayed(image)[..., None], 3, axis=-1) for image in data.images]
figure = jaxplain.plots.map_grid([pictures, *rows], row_titles=["image", *maps], title="Discs 0, 1, 2 and 0")
path = Path("runs") / "01_explain_arrays.png"
path.parent.mkdir(exist_ok=True)
path.write_bytes(jaxplain.plots.png_bytes(figure))

for method, values in maps.items():
    inside = abs(values[0, ..., 0])[data.masks[0]].sum() / abs(values[0]).sum()
    print(f"{method}: maps {values.shape}, {inside:.0%} of the first one inside its disc")
print(f"wrote {path}")
