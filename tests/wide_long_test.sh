#!/bin/sh
# What AVX-512 would run, 16 lanes and all, in AVX2's instructions (make WIDE=1): kernels, ops, passes, networks.
cd "$(dirname "$0")/.." || exit 1
unset MAKEFLAGS MAKELEVEL LUNETTE_TEST_LONG
programs="blocked_test conv_blocked_test conv_bf16_test winograd_test winograd_grad_test"
# shellcheck disable=SC2046,SC2086 # lists of words
if ! make WIDE=1 BUILD=build/wide all $(printf 'build/wide/tests/%s ' $programs) >/dev/null; then
  echo "FAILED the build"
  echo "0 passed, 1 failed"
  exit 1
fi
LUNETTE_ISA=avx512 LUNETTE=build/wide/lunette
export LUNETTE_ISA LUNETTE
# shellcheck disable=SC2046,SC2086
exec tests/run tests/ops_test.lua tests/nn_test.lua tests/passes_test.lua tests/parity_test.lua $(printf 'tests/%s.c ' $programs)
