"""Reference networks in Flax."""

from jaxplain.models.small import NNXSmallCNN, SmallCNN, nnx_twin, small_cnn, small_cnn_variables

__all__ = ["NNXSmallCNN", "SmallCNN", "nnx_twin", "small_cnn", "small_cnn_variables"]
