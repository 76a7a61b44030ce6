"""Shapes of chunks that the tests and the benchmark share: samples along the first axis, images of a batch before."""

SMALL: dict[str, tuple[int, ...]] = {
    "one sample": (1, 3, 2),
    "numbers": (7,),
    "signals": (5, 9),
    "images": (8, 5, 4, 3),
    "volumes": (6, 3, 4, 2, 1),
    "many": (67, 4),
}
LARGE: dict[str, tuple[int, ...]] = {
    "8 maps": (8, 224, 224, 3),
    "5 maps": (5, 224, 224, 3),
    "32 maps": (32, 224, 224, 3),
    "8 cotangents of a stem": (8, 112, 112, 64),
    "64 small maps": (64, 28, 28, 1),
}
