#!/bin/bash
# A run as a Slurm array, merged when all shards have ended:
#
#   SHARDS=8 bash examples/slurm.sh --method vap --suite vap-data --data /data/VAP-Data --offload none
#
# A shard that was pre-empted, timed out or lost its node is requeued and resumes; to resume by hand, call the same
# command again. Set what your cluster wants: partition, account, memory.
#SBATCH --job-name=vapbench
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --time=12:00:00
#SBATCH --requeue
# Two minutes before the end of its time, so that the case at hand is finished and the lock given back.
#SBATCH --signal=TERM@120
#SBATCH --output=slurm-%A_%a.log
set -euo pipefail

RESULTS=${RESULTS:-results}
SHARDS=${SHARDS:-8}

if [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
    array=$(sbatch --parsable --array="1-$SHARDS" --export="ALL,RESULTS=$RESULTS,SHARDS=$SHARDS" "$0" "$@")
    echo "shards: job $array"
    sbatch --parsable --dependency="afterany:$array" --output=slurm-merge-%j.log \
        --wrap="vapbench results merge $RESULTS/shard-*of$SHARDS --into $RESULTS && vapbench report --results $RESULTS"
    exit
fi

# A node that died left its lock behind. Only that is broken: where somebody still writes, this says so and ends.
folder=$(printf '%s/shard-%0*dof%d' "$RESULTS" "${#SHARDS}" "$SLURM_ARRAY_TASK_ID" "$SHARDS")
vapbench results unlock "$folder"
exec vapbench run "$@" --results "$RESULTS" --shard "$SLURM_ARRAY_TASK_ID/$SHARDS"
