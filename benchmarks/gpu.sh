#!/usr/bin/env bash
# What jaxplain does on this accelerator: ResNet-50 and ViT-B/16 at 224x224, beside Captum, within eight minutes.
# Runs from a checkout; needs a python3 with jax (for the accelerator), flax and torch, and Captum for its columns.
#
#     benchmarks/gpu.sh [--minutes 7.5] [--parts methods jobs peers kernels] [--out FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# JAX takes most of the memory at its start; PyTorch needs a part of it for the peers.
export XLA_PYTHON_CLIENT_MEM_FRACTION="${XLA_PYTHON_CLIENT_MEM_FRACTION:-0.7}"
export PYTHONPATH="$PWD:$PWD/kernels${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python3}" -u -m benchmarks.gpu "$@"
