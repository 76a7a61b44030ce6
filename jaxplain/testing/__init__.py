"""Checks that any attribution method should pass, for methods written elsewhere as well as for the library's own.

``closed_forms``, ``cams``, ``gates`` and ``attention`` are functions whose maps are known exactly; ``promises`` are
what the library holds every registered method to; ``axioms`` are what a method may declare; ``networks`` are small
networks to try things on.
"""

from jaxplain.testing.attention import ATTENTION_FORMS as ATTENTION_FORMS
from jaxplain.testing.axioms import check_axiom as check_axiom
from jaxplain.testing.cams import CAM_FORMS as CAM_FORMS
from jaxplain.testing.closed_forms import CLOSED_FORMS as CLOSED_FORMS
from jaxplain.testing.closed_forms import ClosedForm as ClosedForm
from jaxplain.testing.decompositions import DECOMPOSED_FORMS as DECOMPOSED_FORMS
from jaxplain.testing.differences import DIFFERENCE_FORMS as DIFFERENCE_FORMS
from jaxplain.testing.games import GAME_FORMS as GAME_FORMS
from jaxplain.testing.gates import GATE_FORMS as GATE_FORMS
from jaxplain.testing.networks import attention_network as attention_network
from jaxplain.testing.networks import relu_network as relu_network
from jaxplain.testing.networks import smooth_network as smooth_network
from jaxplain.testing.paths import PATH_FORMS as PATH_FORMS
from jaxplain.testing.promises import check_promises as check_promises
from jaxplain.testing.relevances import RELEVANCE_FORMS as RELEVANCE_FORMS
from jaxplain.testing.removals import REMOVAL_FORMS as REMOVAL_FORMS
from jaxplain.testing.tolerance import tol as tol
