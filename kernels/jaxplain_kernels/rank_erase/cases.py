"""Images, orders and steps that the tests and the benchmark share."""

from typing import NamedTuple


class Case(NamedTuple):
    """Images of one shape, ranked along their first axes."""

    images: int
    shape: tuple[int, ...]
    axes: int
    steps: int
    dtype: str = "float32"


SMALL: dict[str, Case] = {
    "colors": Case(2, (32, 32, 3), 2, 5),
    "gray": Case(3, (32, 32), 2, 4),
    "spectrum": Case(2, (1024,), 1, 3),
    "volume": Case(1, (8, 8, 16, 2), 3, 3),
    "brain half": Case(2, (32, 32, 3), 2, 5, "bfloat16"),
    "half": Case(2, (16, 64, 1), 2, 2, "float16"),
    "odd size": Case(2, (7, 9, 3), 2, 4),
    "one step": Case(2, (32, 32, 3), 2, 1),
}
LARGE: dict[str, Case] = {
    "64 images, 1 step": Case(64, (224, 224, 3), 2, 1),
    "1 image, 20 steps": Case(1, (224, 224, 3), 2, 20),
    "8 images, 20 steps": Case(8, (224, 224, 3), 2, 20),
    "8 images, 20 steps, bfloat16": Case(8, (224, 224, 3), 2, 20, "bfloat16"),
}
