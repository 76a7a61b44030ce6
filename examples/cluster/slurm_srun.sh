#!/bin/bash
# One job over many nodes as one SLURM allocation: srun starts a worker per GPU, all at once.
#
#     sbatch examples/cluster/slurm_srun.sh job.toml
#
# A minute before the time limit SLURM asks all workers to end; the allocation is then put into the queue again.
#SBATCH --job-name=jaxplain
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@60
#SBATCH --requeue
#SBATCH --open-mode=append

set -u
job="${1:?usage: sbatch slurm_srun.sh JOB.toml}"
most_restarts=20

# A worker that dies takes nobody with it: the others go on, and take over its shards.
srun --kill-on-bad-exit=0 jaxplain run "$job" --worker auto --steal --grace 40
code=$?

if ((code != 0 && code != 2 && ${SLURM_RESTART_COUNT:-0} < most_restarts)); then # 2: the job itself has to be mended
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
