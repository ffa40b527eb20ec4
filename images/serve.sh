#!/bin/bash
# Runs the engine on loopback and the worker beside it; the container ends when either does. Arguments go to vLLM.
# SIGTERM goes to the worker alone: it finishes its jobs, which still need the engine.
set -u

vllm serve /models/weights \
  --host 127.0.0.1 --port 8000 \
  --served-model-name "$MODEL" \
  --chat-template /models/chat_template.jinja \
  --max-model-len "$CONTEXT_TOKENS" \
  --max-num-seqs "$MAX_CONCURRENCY" \
  --enable-prompt-tokens-details \
  --disable-uvicorn-access-log \
  ${QUANTIZATION:+--quantization "$QUANTIZATION"} \
  "$@" &
engine=$!

/worker/bin/python -m snack_worker &
worker=$!

trap 'kill -TERM "$worker" 2>/dev/null' TERM INT
wait -n

if ! kill -0 "$engine" 2>/dev/null; then
  echo "serve.sh: the engine has ended" >&2
  # Time to report the jobs that broke with it; RunPod starts another worker.
  kill -TERM "$worker" 2>/dev/null
  sleep 3
  kill -KILL "$worker" 2>/dev/null
  exit 1
fi

wait "$worker"
status=$?
kill -TERM "$engine"
wait "$engine"
exit "$status"
