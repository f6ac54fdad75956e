#!/bin/sh
# The comparison with PyTorch under --precision strict, and the planner's passes under strict and bf16; the files
# themselves run in f32.
cd "$(dirname "$0")/.." || exit 1
LUNETTE=${LUNETTE:-build/lunette}
passed=0 failed=0
for run in "strict parity" "strict passes" "bf16 passes"; do
  precision=${run% *} name=${run#* }
  if total=$("$LUNETTE" --precision "$precision" "tests/${name}_test.lua" | tee /dev/stderr | tail -n 1) &&
    echo "$total" | grep -Eq '^[0-9]+ passed, 0 failed'; then
    passed=$((passed + ${total%% *}))
  else
    echo "FAILED $name under $precision: $total"
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
