"""Recognizing what equations of a traced function belong together: activations, affine runs, structures."""
