#!/usr/bin/env bash
# What only a GPU and Isaac Sim can show, in the order of what is learned from it; see docs/gpu-check.md.
# Usage: tests/isaaclab/gpu-check.sh [IMAGE]     (needs docker with the NVIDIA runtime, and `make test` once for .venv)
# By running it you accept NVIDIA's licence of the image.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
image=${1:-nvcr.io/nvidia/isaac-lab:2.3.2}
out=$PWD/.tmp/gpu-check
rm -rf "$out" && mkdir -p "$out"
failed=0

.venv/bin/mlflow server --host 127.0.0.1 --port 5055 --backend-store-uri "sqlite:///$out/mlflow.db" \
  --artifacts-destination "$out/artifacts" > "$out/mlflow.log" 2>&1 &
server=$!
trap 'kill $server' EXIT

# job NAME WORDS-FOR-DOCKER...: run one job in the container; its folder is $out/NAME.
job() {
  local name=$1
  shift
  mkdir -p "$out/$name"
  docker run --rm --name "gaitway-gpu-check-$name" --gpus all --network host --shm-size 8g \
    -v "$PWD/src/training:/payload" -w /payload -v "$out:/out" -e RUN_DIR="/out/$name" \
    -e MLFLOW_TRACKING_URI=http://127.0.0.1:5055 -e OMNI_KIT_ALLOW_ROOT=1 -e PRIVACY_CONSENT=Y \
    -e SIMULATOR=isaaclab -e TASK="${TASK:-Isaac-Cartpole-v0}" -e NUM_ENVS=4096 -e SKIP_REGISTER_CHECKPOINT=true \
    "$@" --entrypoint /bin/bash "$image" -c '
      python=python3
      if [ -x /workspace/isaaclab/isaaclab.sh ]; then python="/workspace/isaaclab/isaaclab.sh -p"; fi
      PYTHONPATH="$PWD:${PYTHONPATH:-}" exec $python -m gaitway_runtime.container' > "$out/$name/log.txt" 2>&1
}

# expect NAME EXIT-CODE FOUND-EXIT-CODE PYTHON-EXPRESSION-OF-result: say how it went.
expect() {
  local told
  told=$(.venv/bin/python - "$out/$1/outputs/result.json" "$4" <<'PYTHON'
import json, sys
try:
    result = json.load(open(sys.argv[1]))
except OSError:
    sys.exit("no result.json")
error = (result["error"] or {}).get("message", "")
print(result["status"], result["iterations"], f"{result['seconds']:.0f} s", error)
sys.exit(0 if eval(sys.argv[2]) else "not what was expected")
PYTHON
  ) && [ "$2" = "$3" ] && echo "ok      $1: $told" && return
  echo "FAILED  $1: exit code $3, $2 expected; $told; see $out/$1/log.txt"
  failed=1
}

yes=(-e ACCEPT_EULA=Y)
job licence -e ACCEPT_EULA=N
expect licence 3 $? '"licence" in error'
job rsl_rl "${yes[@]}" -e MAX_ITERATIONS=150
expect rsl_rl 0 $? 'result["iterations"] == 150 and result["metrics"]["mean_reward"] > 4'
job skrl "${yes[@]}" -e TRAINING_BACKEND=skrl -e MAX_ITERATIONS=150
expect skrl 0 $? 'result["iterations"] == 150'

job evicted "${yes[@]}" -e MAX_ITERATIONS=100000 &
evicted=$!
until grep -q '"iteration"' "$out/evicted/outputs/progress.jsonl" 2>/dev/null || ! kill -0 $evicted 2> /dev/null; do sleep 1; done
docker kill --signal TERM gaitway-gpu-check-evicted > /dev/null
wait $evicted
expect evicted 130 $? 'result["status"] == "cancelled" and result["final_checkpoint"]'
job resumed "${yes[@]}" -e RESUME_DIR=/out/evicted/outputs/checkpoints -e MAX_ITERATIONS=100000 &
sleep 1
until grep -q '"iteration"' "$out/resumed/outputs/progress.jsonl" 2>/dev/null || ! kill -0 $! 2> /dev/null; do sleep 1; done
docker kill --signal TERM gaitway-gpu-check-resumed > /dev/null
wait $!
expect resumed 130 $? 'result["iterations"] > json.load(open("'"$out"'/evicted/outputs/result.json"))["iterations"]'

TASK=Isaac-Velocity-Flat-Anymal-C-v0 job contract "${yes[@]}" -e JOB_KIND=dump-contract
expect contract 0 $? '"contract.json" in result["artifacts"]'
TASK=Isaac-Velocity-Flat-Anymal-C-v0 job memory "${yes[@]}" -e NUM_ENVS=1000000 -e MAX_ITERATIONS=1
expect memory 1 $? '"does not hold 1000000 environments" in error'

gpus=$(nvidia-smi -L 2> /dev/null | wc -l)
if [ "$gpus" -gt 1 ]; then
  job together "${yes[@]}" -e NUM_GPUS="$gpus" -e MAX_ITERATIONS=150
  expect together 0 $? 'result["steps"] == 150 * 16 * 4096 * '"$gpus"
else
  echo "skipped together: one GPU"
fi
exit $failed
