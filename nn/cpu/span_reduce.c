/* span_reduce.c: sums, extremes and moments of contiguous f32 (compiled once per
 * instruction set, see cpu.h).
 *
 * A sum goes over leaves of LEAF elements: eight f32 lanes add LEAF / 8 / 4 values each in
 * four chains, the leaf's lanes are added to eight double lanes. So the error stays that of
 * a dozen f32 additions for any length, at the speed of memory. The order is fixed by
 * the source: eight lanes on every instruction set.
 */
#include "span.h"
#include "span_math.h"

#pragma GCC diagnostic ignored "-Wpsabi" /* 32-byte vectors never cross a call here */

typedef float v8f __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t v8i __attribute__((vector_size(32)));
typedef double v8d __attribute__((vector_size(64)));

enum { LEAF = 256, CHAIN = LEAF / 8 / 4 };

#define LOAD(p) (*(const v8f *)(p))
#define WIDEN(v) __builtin_convertvector(v, v8d)
#define ACROSS(d) \
  (((d)[0] + (d)[1]) + ((d)[2] + (d)[3]) + (((d)[4] + (d)[5]) + ((d)[6] + (d)[7])))

static void sum_run(void *acc, const void *vx, int64_t n) {
  const float *x = vx;
  v8d total = {0};
  int64_t i = 0;
  for (; i + LEAF <= n; i += LEAF) {
    v8f s0 = LOAD(x + i), s1 = LOAD(x + i + 8), s2 = LOAD(x + i + 16), s3 = LOAD(x + i + 24);
    for (int k = 1; k < CHAIN; k++) {
      const float *at = x + i + 32 * k;
      s0 += LOAD(at), s1 += LOAD(at + 8), s2 += LOAD(at + 16), s3 += LOAD(at + 24);
    }
    v8f s = (s0 + s1) + (s2 + s3);
    total += WIDEN(s);
  }
  for (; i + 8 <= n; i += 8) {
    v8f s = LOAD(x + i);
    total += WIDEN(s);
  }
  double sum = ACROSS(total);
  for (; i < n; i++) sum += (double)x[i];
  *(double *)acc += sum;
}

/* Lanes compare as ln_maxf does, so a NaN wins and stays. */
#define EXTREME(name, OP, pick)                                   \
  static void name(void *acc, const void *vx, int64_t n) {        \
    const float *x = vx;                                          \
    float best = (float)*(double *)acc;                           \
    int64_t i = 0;                                                \
    if (n >= 16) {                                                \
      v8f b = LOAD(x);                                            \
      for (i = 8; i + 8 <= n; i += 8) {                           \
        v8f v = LOAD(x + i);                                      \
        v8i keep = (b OP v) | (b != b);                           \
        b = (v8f)((keep & (v8i)b) | (~keep & (v8i)v));            \
      }                                                           \
      for (int k = 0; k < 8; k++) best = pick(best, b[k]);        \
    }                                                             \
    for (; i < n; i++) best = pick(best, x[i]);                   \
    *(double *)acc = (double)best;                                \
  }
EXTREME(max_run, >, ln_maxf)
EXTREME(min_run, <, ln_minf)

static void sum_columns(void *acc, const void *vx, int64_t n) {
  double *a = acc;
  const float *x = vx;
  SPAN_LOOP(n) a[i] += (double)x[i];
}

static void max_columns(void *acc, const void *vx, int64_t n) {
  double *a = acc;
  const float *x = vx;
  SPAN_LOOP(n) {
    const double v = (double)x[i], b = a[i];
    a[i] = (b > v) | (b != b) ? b : v;
  }
}

static void min_columns(void *acc, const void *vx, int64_t n) {
  double *a = acc;
  const float *x = vx;
  SPAN_LOOP(n) {
    const double v = (double)x[i], b = a[i];
    a[i] = (b < v) | (b != b) ? b : v;
  }
}

/* Mean and squared deviations of count <= LEAF elements: they are read twice, the second
 * time from the first-level cache, for the deviations from the rounded mean; the sum
 * of those corrects the mean. */
static inline void leaf_moments(ln_moments *m, const float *x, int64_t count) {
  const int64_t even = count - count % 16;
  v8f s0 = {0}, s1 = {0};
  for (int64_t k = 0; k < even; k += 16) s0 += LOAD(x + k), s1 += LOAD(x + k + 8);
  v8f s = s0 + s1;
  float sum = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
  for (int64_t k = even; k < count; k++) sum += x[k];
  const float mean = sum / (float)count;
  v8f d0 = {0}, d1 = {0}, q0 = {0}, q1 = {0};
  for (int64_t k = 0; k < even; k += 16) {
    v8f a = LOAD(x + k) - mean, b = LOAD(x + k + 8) - mean;
    d0 += a, d1 += b;
    q0 += a * a, q1 += b * b;
  }
  v8f ds = d0 + d1, qs = q0 + q1;
  v8d d = WIDEN(ds), q = WIDEN(qs);
  double first = ACROSS(d), second = ACROSS(q);
  for (int64_t k = even; k < count; k++) {
    const double v = (double)x[k] - (double)mean;
    first += v;
    second += v * v;
  }
  m->count = (double)count;
  m->mean = (double)mean + first / (double)count;
  m->m2 = second - first * (first / (double)count);
}

/* Leaves are added up relative to the first one's mean, which is near enough to the
 * whole mean that the subtraction at the end loses nothing in double. */
static void moments(ln_moments *m, const float *x, int64_t n) {
  if (n == 0) return;
  double origin = 0, first = 0, second = 0;
  for (int64_t i = 0; i < n; i += LEAF) {
    ln_moments leaf;
    if (n - i >= LEAF) leaf_moments(&leaf, x + i, LEAF);
    else leaf_moments(&leaf, x + i, n - i);
    if (i == 0) origin = leaf.mean;
    const double d = leaf.mean - origin;
    first += leaf.count * d;
    second += leaf.m2 + leaf.count * d * d;
  }
  const double mean = first / (double)n;
  const ln_moments all = {.count = (double)n, .mean = origin + mean, .m2 = second - first * mean};
  ln_moments_merge(m, &all);
}

static void dots(double sums[2], const float *gy, const float *x, int64_t n, float mean) {
  v8d g = {0}, d = {0};
  int64_t i = 0;
  for (; i + LEAF <= n; i += LEAF) {
    v8f g0 = {0}, g1 = {0}, d0 = {0}, d1 = {0};
    for (int64_t k = i; k < i + LEAF; k += 16) {
      v8f a = LOAD(gy + k), b = LOAD(gy + k + 8);
      g0 += a, g1 += b;
      d0 += a * (LOAD(x + k) - mean), d1 += b * (LOAD(x + k + 8) - mean);
    }
    v8f gs = g0 + g1, ds = d0 + d1;
    g += WIDEN(gs), d += WIDEN(ds);
  }
  for (; i + 8 <= n; i += 8) {
    v8f gs = LOAD(gy + i), ds = gs * (LOAD(x + i) - mean);
    g += WIDEN(gs), d += WIDEN(ds);
  }
  double sg = ACROSS(g), sd = ACROSS(d);
  for (; i < n; i++) {
    sg += (double)gy[i];
    sd += (double)gy[i] * ((double)x[i] - (double)mean);
  }
  sums[0] += sg;
  sums[1] += sd;
}

static int64_t nonfinite(const float *x, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) count += (ln_bits_of(x[i]) & 0x7f800000u) == 0x7f800000u;
  return count;
}

const ln_reduce_spans SPAN(reduce) = {
    .sum_run = sum_run, .max_run = max_run, .min_run = min_run,
    .sum_columns = sum_columns, .max_columns = max_columns, .min_columns = min_columns,
    .moments = moments, .dots = dots, .nonfinite = nonfinite};
