"""Shapes that the tests and the benchmark share; in the large ones copies come first."""

SMALL: dict[str, tuple[int, ...]] = {
    "a number": (),
    "one": (1,),
    "odd signal": (7,),
    "image": (5, 4, 3),
    "volume": (3, 5, 2, 1),
}
LARGE: dict[str, tuple[int, ...]] = {
    "8 copies of 224x224": (8, 224, 224, 3),
    "32 copies of 224x224": (32, 224, 224, 3),
    "128 copies of 28x28": (128, 28, 28, 1),
}
