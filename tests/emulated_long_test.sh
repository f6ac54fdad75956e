#!/bin/sh
# AVX-512's instructions themselves, in an emulated processor (tools/emulate): one test a command.
cd "$(dirname "$0")/.." || exit 1
build=$(dirname "${LUNETTE:-build/lunette}")
log=$(mktemp "$build/emulated.XXXXXX") || exit 1
trap 'rm -f "$log"' EXIT
device='require("lunette").ones(1):item() local d = select(2, require("lunette.core").device()) print(d) assert(d:find "^cpu: AVX%-512")'

LUNETTE_ISA=avx512 tools/emulate "$build/lunette -e '$device'" \
  "$build/tests/conv_bf16_test 8" "$build/tests/conv_direct_test" "$build/tests/cpu_bits_test" \
  "$build/lunette tests/isa_test.lua" "$build/lunette tests/nn_test.lua" "$build/lunette tests/passes_test.lua" >"$log" 2>&1
status=$?
if [ $status -eq 77 ]; then
  cat "$log"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
passed=$(grep -c '^emulate: 0 ' "$log") failed=$(grep -c '^emulate: [1-9]' "$log")
if [ $status -ne 0 ]; then
  cat "$log" >&2
  sed -n 's/^emulate: [1-9][0-9]* /FAILED /p' "$log"
  [ "$failed" -gt 0 ] || { failed=1; echo "FAILED the machine"; }
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
