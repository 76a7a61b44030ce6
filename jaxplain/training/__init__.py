"""Explanations inside a training loss: penalties of one example, pure functions like the methods.

A penalty is added to the loss of every example and averaged with it. It is differentiated with respect to the
parameters by JAX, through the gradient that it contains; nothing is taken as a constant.
"""

from jaxplain.training.penalties import input_gradient_penalty as input_gradient_penalty
from jaxplain.training.penalties import right_for_the_right_reasons as right_for_the_right_reasons
