"""jaxplain: batched attribution for JAX models, from one array to hundreds of thousands of images."""
