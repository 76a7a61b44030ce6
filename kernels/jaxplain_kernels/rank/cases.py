"""Scores that the tests and the benchmark share: name -> (shape, dtype)."""

Case = tuple[tuple[int, ...], str]

SMALL: dict[str, Case] = {
    "one map": ((97,), "float32"),
    "batch": ((3, 64), "float32"),
    "batch of batches": ((2, 3, 33), "float32"),
    "half": ((3, 101), "float16"),
    "brain half": ((3, 101), "bfloat16"),
    "half, more than 16 bits of positions": ((65_537,), "bfloat16"),
    "integers": ((2, 50), "int32"),
    "counts": ((2, 50), "uint8"),
    "single": ((4, 1), "float32"),
}
LARGE: dict[str, Case] = {
    "1 map of 224x224": ((1, 50_176), "float32"),
    "8 maps of 224x224": ((8, 50_176), "float32"),
    "64 maps of 224x224": ((64, 50_176), "float32"),
    "64 maps of 224x224, bfloat16": ((64, 50_176), "bfloat16"),
    "64 maps of 28x28": ((64, 784), "float32"),
    "2 maps of 384x512": ((2, 196_608), "float32"),
}
