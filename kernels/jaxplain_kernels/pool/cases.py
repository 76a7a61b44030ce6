"""Shapes that the tests and the benchmark share: name -> (input, window, strides, padding)."""

Case = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]

SMALL: dict[str, Case] = {
    "resnet stem, small": ((2, 9, 10, 3), (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0))),
    "vgg, small": ((2, 8, 6, 3), (1, 2, 2, 1), (1, 2, 2, 1), ((0, 0),) * 4),
    "uneven": ((1, 7, 8, 2), (1, 3, 2, 1), (1, 1, 3, 1), ((0, 0), (0, 2), (1, 0), (0, 0))),
    "strides beyond the window": ((1, 9, 9, 2), (1, 2, 2, 1), (1, 3, 4, 1), ((0, 0),) * 4),
    "one axis": ((11,), (3,), (2,), ((1, 1),)),
    "three axes": ((1, 4, 5, 6, 2), (1, 2, 2, 2, 1), (1, 2, 2, 2, 1), ((0, 0), (0, 0), (0, 1), (0, 0), (0, 0))),
}
LARGE: dict[str, Case] = {
    "resnet stem": ((8, 112, 112, 64), (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0))),
    "vgg": ((8, 56, 56, 128), (1, 2, 2, 1), (1, 2, 2, 1), ((0, 0),) * 4),
    "small images": ((64, 28, 28, 16), (1, 2, 2, 1), (1, 2, 2, 1), ((0, 0),) * 4),
}
