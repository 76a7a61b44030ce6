"""Sizes that the tests and the benchmark share: name -> (image with its channels, cells along each axis, masks)."""

Case = tuple[tuple[int, ...], tuple[int, ...], int]

SMALL: dict[str, Case] = {
    "image": ((12, 12, 3), (4, 4), 5),
    "uneven image": ((13, 10, 2), (3, 4), 4),
    "gray image": ((9, 7), (4, 2), 3),
    "tall image": ((72, 8, 3), (4, 4), 2),
    "signal": ((17, 2), (5,), 6),
    "volume": ((6, 5, 7, 1), (2, 3, 2), 3),
    "one cell": ((5, 6), (1, 2), 2),
    "a cell per entry": ((4, 5), (4, 5), 3),
}
LARGE: dict[str, Case] = {
    "16 masks of 224x224": ((224, 224, 3), (8, 8), 16),
    "64 masks of 224x224": ((224, 224, 3), (8, 8), 64),
    "64 masks of 28x28": ((28, 28, 1), (4, 4), 64),
    "8 masks of 64x64x64": ((64, 64, 64, 1), (4, 4, 4), 8),
}
