/* kern_peak.c: the loops of peak.h for one instruction set.
 *
 * On x86 the multiplications are inline assembly: gcc computes what it can of a loop in C with constant
 * operands before it runs. Every accumulator waits only for itself, and there are more of them than
 * latency times units on any core, so that throughput alone counts.
 */
#include "kern.h"
#include "peak.h"

#if defined(__AVX512F__)
typedef float wide __attribute__((vector_size(64)));
#define MULTIPLY_ADD(acc) __asm__ volatile("vfmadd231ps %1, %2, %0" : "+v"(acc) : "v"(a), "v"(b))
#elif defined(__FMA__)
typedef float wide __attribute__((vector_size(32)));
#define MULTIPLY_ADD(acc) __asm__ volatile("vfmadd231ps %1, %2, %0" : "+x"(acc) : "x"(a), "x"(b))
#elif defined(__SSE2__)
/* One of a pair of accumulators is multiplied, the other added to. */
typedef float wide __attribute__((vector_size(16)));
#define MULTIPLY_ADD(acc) __asm__ volatile("mulps %1, %0" : "+x"(acc) : "x"(a))
#define ADD(acc) __asm__ volatile("addps %1, %0" : "+x"(acc) : "x"(b))
#else
typedef float wide __attribute__((vector_size(16)));
#define MULTIPLY_ADD(acc) acc = a * b + acc /* a and b come from volatile memory */
#endif

enum { FLOATS = sizeof(wide) / sizeof(float) };
static volatile const float zero = 0.0f, one = 1.0f;

static wide all(float value) {
  wide v;
  for (int i = 0; i < FLOATS; i++) v[i] = value;
  return v;
}

#ifdef ADD
enum { OPERATIONS = 14 };
static void multiply(int64_t rounds) {
  const wide a = all(one), b = all(zero);
  wide p0 = a, p1 = a, p2 = a, p3 = a, p4 = a, p5 = a, p6 = a, s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a;
  for (int64_t r = 0; r < rounds; r++) {
    MULTIPLY_ADD(p0); ADD(s0); MULTIPLY_ADD(p1); ADD(s1); MULTIPLY_ADD(p2); ADD(s2); MULTIPLY_ADD(p3); ADD(s3);
    MULTIPLY_ADD(p4); ADD(s4); MULTIPLY_ADD(p5); ADD(s5); MULTIPLY_ADD(p6); ADD(s6);
  }
}
#else
enum { OPERATIONS = 24 }; /* 12 multiplications with additions */
static void multiply(int64_t rounds) {
  const wide a = all(one), b = all(zero);
  wide s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a, s8 = a, s9 = a, s10 = a, s11 = a;
  for (int64_t r = 0; r < rounds; r++) {
    MULTIPLY_ADD(s0); MULTIPLY_ADD(s1); MULTIPLY_ADD(s2); MULTIPLY_ADD(s3); MULTIPLY_ADD(s4); MULTIPLY_ADD(s5);
    MULTIPLY_ADD(s6); MULTIPLY_ADD(s7); MULTIPLY_ADD(s8); MULTIPLY_ADD(s9); MULTIPLY_ADD(s10); MULTIPLY_ADD(s11);
  }
  volatile wide sink = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11; /* where there is no assembly */
  (void)sink;
}
#endif

static void read_all(const float *x, int64_t n) {
  vf s0 = vf_splat(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
  for (const float *end = x + n; x < end; x += 8 * LN_LANES) {
    s0 += vf_load(x), s1 += vf_load(x + LN_LANES), s2 += vf_load(x + 2 * LN_LANES), s3 += vf_load(x + 3 * LN_LANES);
    s4 += vf_load(x + 4 * LN_LANES), s5 += vf_load(x + 5 * LN_LANES);
    s6 += vf_load(x + 6 * LN_LANES), s7 += vf_load(x + 7 * LN_LANES);
  }
  volatile vf sink = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7;
  (void)sink;
}

static void copy_all(float *y, const float *x, int64_t n) {
  for (int64_t i = 0; i < n; i += 4 * LN_LANES) {
    for (int k = 0; k < 4; k++) vf_store(y + i + k * LN_LANES, vf_load(x + i + k * LN_LANES));
    __asm__ volatile("" ::: "memory"); /* or gcc calls memcpy, whose stores bypass the caches */
  }
}

const ln_peak_kerns KERN(peak) = {multiply, (double)OPERATIONS * FLOATS, read_all, copy_all};
