/* pairs.c: who multiplies pairs of bf16 on this processor (see pairs.h). */
#include "pairs.h"
#include "../kern.h"

const ln_pairs *ln_pairs_of(const ln_cpu *cpu) {
#if defined(__x86_64__)
  if (cpu->isa == LN_ISA_AMX) return &ln_pairs_amx;
  if (cpu->isa == LN_ISA_AVX512 && __builtin_cpu_supports("avx512bf16")) return &ln_kern_pairs_dot;
#endif
  return cpu->kerns->pairs;
}
