"""Layer-wise relevance propagation: rules, composites of rules, and the method.

A rule says how the relevance of a block's outputs is divided among its inputs. Modules hold a family each, and their
docstrings the formulas and how bias, the stabilizer at zero, padding and pooling are treated:

- ``epsilon``: epsilon and norm;
- ``signed``: z-plus, alpha-beta, generalized gamma;
- ``first_layer``: flat, w-square, z-box, which give relevance to black pixels;
- ``activations``: pass;
- ``attention``: softmax, products and normalizations, after AttnLRP;
- ``composites``: which block receives which rule; ``presets``: the conventions of other libraries.

Patents on LRP exist (among them EP3271863B1 and US 12061966 B2); users must judge their own use.
"""

from jaxplain.methods.lrp.activations import Pass as Pass
from jaxplain.methods.lrp.attention import HalfEach as HalfEach
from jaxplain.methods.lrp.attention import HeldScale as HeldScale
from jaxplain.methods.lrp.composites import COMMON as COMMON
from jaxplain.methods.lrp.composites import named as named
from jaxplain.methods.lrp.epsilon import Epsilon as Epsilon
from jaxplain.methods.lrp.epsilon import Norm as Norm
from jaxplain.methods.lrp.first_layer import Flat as Flat
from jaxplain.methods.lrp.first_layer import WSquare as WSquare
from jaxplain.methods.lrp.first_layer import ZBox as ZBox
from jaxplain.methods.lrp.method import lrp as lrp
from jaxplain.methods.lrp.signed import AlphaBeta as AlphaBeta
from jaxplain.methods.lrp.signed import Gamma as Gamma
from jaxplain.methods.lrp.signed import ZPlus as ZPlus
