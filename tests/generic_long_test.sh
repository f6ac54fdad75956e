#!/bin/sh
# All quick tests again without vector extensions, in our kernels and in the libraries.
LUNETTE_ISA=generic
export LUNETTE_ISA
unset LUNETTE_TEST_LONG
exec tests/run
