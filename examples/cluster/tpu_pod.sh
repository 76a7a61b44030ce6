#!/bin/bash
# One job on a Cloud TPU pod slice: every host is a worker of its own, with its own chips.
#
#     gcloud compute tpus tpu-vm scp --worker=all job.toml examples/cluster/tpu_pod.sh NAME:
#     gcloud compute tpus tpu-vm ssh --worker=all NAME --command "bash tpu_pod.sh job.toml"
#
# The output has to be one that all hosts reach, such as gs://bucket/runs/a. Not tried on a pod by the authors: the
# variables of the last block are those by which libtpu is told to use the chips of one host alone (2 x 2 of them here).

set -eu
job="${1:?usage: bash tpu_pod.sh JOB.toml}"

attribute() {
  curl --silent --fail --header "Metadata-Flavor: Google" \
    "http://metadata.google.internal/computeMetadata/v1/instance/attributes/$1"
}

number="$(attribute agent-worker-number)"
IFS=, read -r -a hosts <<<"$(attribute worker-network-endpoints)"

# On its own: no host waits for the others, and one that is restarted disturbs nobody.
export TPU_CHIPS_PER_PROCESS_BOUNDS=2,2,1 TPU_PROCESS_BOUNDS=1,1,1 TPU_VISIBLE_CHIPS=0,1,2,3
unset TPU_WORKER_ID TPU_WORKER_HOSTNAMES

exec jaxplain run "$job" --worker "$((number + 1))/${#hosts[@]}" --steal
