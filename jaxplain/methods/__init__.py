"""Attribution methods: pure functions of one example, one file each.

``f`` is a score, a function of one example to a scalar or a vector of K scores, and the map has the shape ``(*t,
*in)``. Raw maps are signed, unscaled and keep their channel axis.
"""

from jaxplain.methods import wrappers as wrappers
from jaxplain.methods.ablation_cam import ablation_cam as ablation_cam
from jaxplain.methods.attention_rollout import attention_rollout as attention_rollout
from jaxplain.methods.blur_ig import blur_ig as blur_ig
from jaxplain.methods.blur_ig import blur_ig_with_diagnostics as blur_ig_with_diagnostics
from jaxplain.methods.deconvnet import deconvnet as deconvnet
from jaxplain.methods.deep_shap import deep_shap as deep_shap
from jaxplain.methods.deep_shap import deep_shap_with_diagnostics as deep_shap_with_diagnostics
from jaxplain.methods.deeplift import deeplift as deeplift
from jaxplain.methods.deeplift import deeplift_with_diagnostics as deeplift_with_diagnostics
from jaxplain.methods.eigen_cam import eigen_cam as eigen_cam
from jaxplain.methods.eigen_grad_cam import eigen_grad_cam as eigen_grad_cam
from jaxplain.methods.excitation_backprop import excitation_backprop as excitation_backprop
from jaxplain.methods.expected_gradients import expected_gradients as expected_gradients
from jaxplain.methods.expected_gradients import (
    expected_gradients_with_diagnostics as expected_gradients_with_diagnostics,
)
from jaxplain.methods.feature_ablation import feature_ablation as feature_ablation
from jaxplain.methods.full_grad import full_grad as full_grad
from jaxplain.methods.full_grad import full_grad_with_diagnostics as full_grad_with_diagnostics
from jaxplain.methods.grad_cam import grad_cam as grad_cam
from jaxplain.methods.grad_cam_pp import grad_cam_pp as grad_cam_pp
from jaxplain.methods.gradient import gradient as gradient
from jaxplain.methods.gradient_rollout import gradient_rollout as gradient_rollout
from jaxplain.methods.guided_backprop import guided_backprop as guided_backprop
from jaxplain.methods.guided_grad_cam import guided_grad_cam as guided_grad_cam
from jaxplain.methods.guided_ig import guided_ig as guided_ig
from jaxplain.methods.guided_ig import guided_ig_with_diagnostics as guided_ig_with_diagnostics
from jaxplain.methods.hires_cam import hires_cam as hires_cam
from jaxplain.methods.hsic import hsic as hsic
from jaxplain.methods.hsic import hsic_with_diagnostics as hsic_with_diagnostics
from jaxplain.methods.idgi import idgi as idgi
from jaxplain.methods.idgi import idgi_with_diagnostics as idgi_with_diagnostics
from jaxplain.methods.input_x_gradient import input_x_gradient as input_x_gradient
from jaxplain.methods.integrated_gradients import integrated_gradients as integrated_gradients
from jaxplain.methods.integrated_gradients import (
    integrated_gradients_with_diagnostics as integrated_gradients_with_diagnostics,
)
from jaxplain.methods.kernel_shap import kernel_shap as kernel_shap
from jaxplain.methods.kernel_shap import kernel_shap_with_diagnostics as kernel_shap_with_diagnostics
from jaxplain.methods.layer_cam import layer_cam as layer_cam
from jaxplain.methods.lime import lime as lime
from jaxplain.methods.lime import lime_with_diagnostics as lime_with_diagnostics
from jaxplain.methods.lrp import lrp as lrp
from jaxplain.methods.occlusion import occlusion as occlusion
from jaxplain.methods.partition_shap import partition_shap as partition_shap
from jaxplain.methods.rise import rise as rise
from jaxplain.methods.rise import rise_with_diagnostics as rise_with_diagnostics
from jaxplain.methods.score_cam import score_cam as score_cam
from jaxplain.methods.shapley_cam import shapley_cam as shapley_cam
from jaxplain.methods.shapley_exact import shapley_exact as shapley_exact
from jaxplain.methods.shapley_sampling import shapley_sampling as shapley_sampling
from jaxplain.methods.shapley_sampling import shapley_sampling_with_diagnostics as shapley_sampling_with_diagnostics
from jaxplain.methods.smooth_grad_cam_pp import smooth_grad_cam_pp as smooth_grad_cam_pp
from jaxplain.methods.smooth_grad_cam_pp import (
    smooth_grad_cam_pp_with_diagnostics as smooth_grad_cam_pp_with_diagnostics,
)
from jaxplain.methods.smoothdiff import smoothdiff as smoothdiff
from jaxplain.methods.smoothgrad import smoothgrad as smoothgrad
from jaxplain.methods.smoothgrad import smoothgrad_with_diagnostics as smoothgrad_with_diagnostics
from jaxplain.methods.smoothgrad_squared import smoothgrad_squared as smoothgrad_squared
from jaxplain.methods.smoothgrad_squared import (
    smoothgrad_squared_with_diagnostics as smoothgrad_squared_with_diagnostics,
)
from jaxplain.methods.sobol import sobol as sobol
from jaxplain.methods.sobol import sobol_with_diagnostics as sobol_with_diagnostics
from jaxplain.methods.vargrad import vargrad as vargrad
from jaxplain.methods.vargrad import vargrad_with_diagnostics as vargrad_with_diagnostics
from jaxplain.methods.xgrad_cam import xgrad_cam as xgrad_cam
from jaxplain.methods.xrai import xrai as xrai
from jaxplain.methods.xrai import xrai_with_diagnostics as xrai_with_diagnostics
