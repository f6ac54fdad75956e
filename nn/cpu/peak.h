/* peak.h: loops that do nothing but keep the arithmetic units or the memory busy, for measuring
 * what a machine can do at most (peak.c).
 */
#ifndef LN_CPU_PEAK_H
#define LN_CPU_PEAK_H

#include "cpu.h"

typedef struct ln_peak_kerns { /* kern_peak.c */
  /* rounds * flop multiplications and additions of f32 in registers. */
  void (*multiply)(int64_t rounds);
  double flop;
  /* n is a multiple of 8 * LN_LANES. Plain loads and stores, as kernels do. */
  void (*read)(const float *x, int64_t n);
  void (*copy)(float *y, const float *x, int64_t n);
} ln_peak_kerns;

extern const ln_peak_kerns ln_kern_peak_generic, ln_kern_peak_avx2, ln_kern_peak_avx512;

/* For the backend. Below a second it takes less memory and fewer tries. */
ln_code ln_cpu_measure(void *self, double seconds, ln_peaks *out, ln_error *err);

#endif
