"""Run a job: a data set and a network on disk, a job file, a store of maps; read the maps and the global maps.

The same as `jaxplain run job.toml` in the folder that this writes. Killed at any moment, it goes on where it was when
it is called again; called once more, it finds nothing left to do.

    python examples/05_run_a_job.py [FOLDER]        (default: runs/05_run_a_job)
"""

import sys
from pathlib import Path

import numpy as np

import jaxplain
from jaxplain.synthetic import aligned

# The network that the job names, in a file of the user's own beside the job: logit k sums the light inside disc k.
NETWORK = """
import jax
import jax.numpy as jnp
import numpy as np

import jaxplain


def light_in_discs(discs, batch):
    return jnp.einsum("nhw,khw->nk", jax.nn.softplus(batch[..., 0]), discs)


def network(discs):
    return jaxplain.from_function(light_in_discs, jnp.asarray(np.load(discs), jnp.float32))
"""

JOB = """
output = "store"
seed = 0

[model]
factory = "my_network:network"
kwargs = {{ discs = "{discs}" }}

[source]
url = "npz://set.npz"             # arrays `images` and `labels`; paths are relative to this file

[labels]
names = ["first disc", "second disc", "third disc"]

[target]
kind = "label"                    # explain the logit of each image's own label

[methods.gradient]

[methods.fine]                    # a name of your own for a method with knobs
method = "smoothgrad"
n_samples = 8
sigma = 0.1

[aggregate]
sign = "absolute"
scale = "max"
"""


def main(folder):
    """Write the data and the job, run it, read the store."""
    folder.mkdir(parents=True, exist_ok=True)
    data = aligned(400, seed=0, strength=3.0, prevalence=(0.4, 0.3, 0.3))
    single = data.labels.sum(axis=1) == 1  # keep images with one label, so that labels are numbers
    np.savez(folder / "set.npz", images=data.images[single], labels=data.labels[single].argmax(axis=1))
    np.save(folder / "discs.npy", data.masks)
    (folder / "my_network.py").write_text(NETWORK)
    (folder / "job.toml").write_text(JOB.format(discs=(folder / "discs.npy").resolve().as_posix()))

    summary = jaxplain.run(folder / "job.toml")
    print(f"explained {summary.images} of {summary.total} images by {', '.join(summary.methods)}")

    store = jaxplain.open(folder / "store")
    maps = store.maps("fine")  # read when indexed
    print(f"store {store.names}: maps {maps.shape} of {maps.dims}; labels {store.rows('label')[:5]} ...")
    print(f"the first map's largest value: {np.abs(maps[0]).max():.3f}")

    overall = store.globals("fine")
    for name, mean, count in zip(overall["groups"], overall["mean"], overall["count"], strict=True):
        print(f"  {name}: {int(count)} images, largest at {np.unravel_index(mean.argmax(), mean.shape)}", end="")
        kind, _, number = name.partition("/")
        print(f", inside its disc: {data.masks[int(number)].flat[mean.argmax()]}" if kind == "label" else "")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/05_run_a_job"))
