#!/bin/bash
# A run as a Slurm array, merged when all shards have ended:
#
#   SHARDS=8 bash examples/slurm.sh --method vap --suite vap-data --data /data/VAP-Data --offload none
#
# A shard that was pre-empted or lost its node is requeued and resumes. Slurm requeues none that ran out of time: call the
# same command again, and finished shards end at once. Set what your cluster wants: partition, account, memory.
#SBATCH --job-name=vapbench
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --time=12:00:00
#SBATCH --requeue
# Ten minutes before the end of its time, so that the case at hand is finished and the lock given back; more, if a case
# takes longer. Slurm signals steps and not the script: hence srun below.
#SBATCH --signal=TERM@600
#SBATCH --output=slurm-%A_%a.log
set -euo pipefail

RESULTS=${RESULTS:-runs}
SHARDS=${SHARDS:-8}

if [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
    array=$(sbatch --parsable --array="1-$SHARDS" --export="ALL,RESULTS=$RESULTS,SHARDS=$SHARDS" "$0" "$@")
    echo "shards: job $array"
    into=$(printf %q "$RESULTS")
    sbatch --parsable --dependency="afterany:$array" --output=slurm-merge-%j.log \
        --wrap="vapbench results merge $into/shard-*of$SHARDS --into $into && vapbench report --results $into"
    exit
fi

# A requeued task may start on another node than the one that died and left its lock. Slurm has ended the first by then;
# should it still run, it stops before its next row.
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then
    folder=$(printf '%s/shard-%0*dof%d' "$RESULTS" "${#SHARDS}" "$SLURM_ARRAY_TASK_ID" "$SHARDS")
    vapbench results unlock --force "$folder"
fi
exec srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
    vapbench run "$@" --results "$RESULTS" --shard "$SLURM_ARRAY_TASK_ID/$SHARDS"
