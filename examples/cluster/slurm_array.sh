#!/bin/bash
# One job over many nodes as a SLURM array: every task is a worker of its own, as soon as it gets a node.
#
#     sbatch examples/cluster/slurm_array.sh job.toml
#
# Tasks that come late, or come back, take over what is unfinished (--steal). Half a minute before the time limit SLURM
# asks the task to end; it finishes its shard if that fits the grace, ends with exit code 75, and is put into the queue
# again. Exit code 0 says that every image of the job is done.
#SBATCH --job-name=jaxplain
#SBATCH --array=0-15
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@60
#SBATCH --requeue
#SBATCH --open-mode=append

set -u
job="${1:?usage: sbatch slurm_array.sh JOB.toml}"
most_restarts=20

# The signal goes to this shell, which hands it on; in the foreground the shell would look at it too late.
jaxplain run "$job" --worker auto --steal --grace 40 &
worker=$!
trap 'kill -TERM "$worker" 2>/dev/null' TERM
wait "$worker"
code=$?
if ((code > 128)) && kill -0 "$worker" 2>/dev/null; then # the signal ended the waiting, not the worker
  wait "$worker"
  code=$?
fi

if ((code == 75 && ${SLURM_RESTART_COUNT:-0} < most_restarts)); then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
