"""Shapes that the tests and the benchmark share: how many copies, and the shape of one."""

Case = tuple[int, tuple[int, ...]]

SMALL: dict[str, Case] = {
    "a number": (2, ()),
    "one": (2, (1,)),
    "odd signal": (2, (7,)),
    "image": (2, (5, 4, 3)),
    "volume": (2, (3, 5, 2, 1)),
}
LARGE: dict[str, Case] = {
    "8 copies of 224x224": (8, (224, 224, 3)),
    "32 copies of 224x224": (32, (224, 224, 3)),
    "128 copies of 28x28": (128, (28, 28, 1)),
}
