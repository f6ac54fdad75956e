/* isa.c: which instruction set the kernels use: the best that the processor has, or what
 * LUNETTE_ISA names. The libraries keep to it too (onednn.c, blas.c).
 */
#define _GNU_SOURCE /* syscall */
#include "cpu.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* Tiles are eight kilobytes of registers; Linux gives them to a process that asks. */
static bool tiles_permitted(void) {
#if defined(__linux__) && defined(SYS_arch_prctl)
  enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
  return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
  return false;
#endif
}

static bool has_amx(void) {
  enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 };
  unsigned a, b, c, d;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  return (d & AMX_BF16) != 0 && (d & AMX_TILE) != 0 && tiles_permitted();
}
#endif

static bool supported(ln_isa isa) {
#if defined(__x86_64__)
#ifdef LN_WIDE
  if (isa == LN_ISA_AVX512) isa = LN_ISA_AVX2;
#endif
  if (isa == LN_ISA_AVX2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa == LN_ISA_AVX512)
    return supported(LN_ISA_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (isa == LN_ISA_AMX) return supported(LN_ISA_AVX512) && __builtin_cpu_supports("avx512f") && has_amx();
#endif
  return isa == LN_ISA_GENERIC;
}

const char *ln_isa_name(ln_isa isa) {
  static const char *const names[LN_ISA_COUNT] = {"generic", "avx2", "avx512", "amx"};
  return names[isa];
}

ln_code ln_isa_choose(ln_isa *isa, ln_error *err) {
  const char *wanted = getenv("LUNETTE_ISA");
  for (int i = LN_ISA_COUNT - 1; i >= 0; i--) {
    if (wanted != NULL && *wanted != '\0' && strcmp(wanted, ln_isa_name((ln_isa)i)) != 0) continue;
    *isa = (ln_isa)i;
    if (supported(*isa)) return LN_OK;
    if (wanted != NULL && *wanted != '\0')
      return ln_fail(err, LN_ENODEV, "LUNETTE_ISA=%s: this processor does not have it", wanted);
  }
  return ln_fail(err, LN_EINVAL, "LUNETTE_ISA=%s: must be generic, avx2, avx512 or amx", wanted);
}
