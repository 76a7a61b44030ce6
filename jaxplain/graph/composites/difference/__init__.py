"""Rules on pairs of values, as DeepLIFT has them."""
