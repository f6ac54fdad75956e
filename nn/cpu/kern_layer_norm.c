/* kern_layer_norm.c: statistics, normalisation and sums per channel over blocked planes.
 *
 * Sums go over leaves of LEAF positions in single precision, in four chains a lane, and leaves are added
 * up in double: the error stays that of some twenty additions for any length.
 */
#include "layer_kern.h"
#include "norm.h"

enum { LEAF = 64, L = LN_LANES };

static void add_leaf(double *sums, vf s) {
  for (int i = 0; i < L; i++) sums[i] += (double)s[i];
}

/* A leaf is read twice, the second time from the first-level cache, for the deviations from its
 * rounded mean, whose sum corrects the mean. d and q: first and second moment about `mean`. */
static inline vf leaf_moments(const float *x, int64_t n, double d[L], double q[L]) {
  vf s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const float *at = x + i * L;
    s0 += vf_load(at), s1 += vf_load(at + L), s2 += vf_load(at + 2 * L), s3 += vf_load(at + 3 * L);
  }
  for (; i < n; i++) s0 += vf_load(x + i * L);
  const vf mean = ((s0 + s1) + (s2 + s3)) * vf_splat(1.0f / (float)n);
  vf d0 = {0}, d1 = {0}, q0 = {0}, q1 = {0};
  for (i = 0; i + 2 <= n; i += 2) {
    const vf a = vf_load(x + i * L) - mean, b = vf_load(x + i * L + L) - mean;
    d0 += a, d1 += b;
    q0 += a * a, q1 += b * b;
  }
  if (i < n) {
    const vf a = vf_load(x + i * L) - mean;
    d0 += a, q0 += a * a;
  }
  const vf ds = d0 + d1, qs = q0 + q1;
  for (int k = 0; k < L; k++) d[k] = (double)ds[k], q[k] = (double)qs[k];
  return mean;
}

/* Leaves are added up relative to the first one's mean, which is near enough to the whole mean that
 * the subtraction at the end loses nothing in double. */
static void moments(ln_moments *m, const float *x, int64_t n) {
  double origin[L], first[L] = {0}, second[L] = {0};
  for (int64_t at = 0; at < n; at += LEAF) {
    double d[L], q[L];
    const int64_t count = n - at < LEAF ? n - at : LEAF;
    const vf mean = count == LEAF ? leaf_moments(x + at * L, LEAF, d, q) : leaf_moments(x + at * L, count, d, q);
    const double c = (double)count, inverse = 1 / c;
    float rounded[L];
    vf_store(rounded, mean);
    if (at == 0)
      for (int i = 0; i < L; i++) origin[i] = (double)rounded[i];
    for (int i = 0; i < L; i++) {
      const double shift = d[i] * inverse, off = (double)rounded[i] + shift - origin[i];
      first[i] += c * off;
      second[i] += q[i] - d[i] * shift + c * off * off;
    }
  }
  const double all = (double)n;
  for (int i = 0; i < L; i++) {
    const double mean = first[i] / all;
    m[i] = (ln_moments){.count = all, .mean = origin[i] + mean, .m2 = second[i] - first[i] * mean};
  }
}

typedef struct constants {
  vf mean, factor, shift;
} constants;

static inline constants load(const float *k) {
  return (constants){vf_load(k + LN_NORM_MEAN * L), vf_load(k + LN_NORM_FACTOR * L), vf_load(k + LN_NORM_SHIFT * L)};
}

static inline vf normal(vf x, const constants *k) { return (x - k->mean) * k->factor + k->shift; }

static void normalize(float *y, const float *x, int64_t n, const float *constant, bool relu) {
  const constants k = load(constant);
  if (!relu) {
    for (int64_t i = 0; i < n * L; i += L) vf_store(y + i, normal(vf_load(x + i), &k));
    return;
  }
  for (int64_t i = 0; i < n * L; i += L) {
    const vf v = normal(vf_load(x + i), &k);
    vf_store(y + i, vf_andnot(v <= 0, v));
  }
}

static inline vf gradient(const float *gy, vf x, const constants *k, bool relu) {
  const vf g = vf_load(gy);
  return relu ? vf_and(normal(x, k) > 0, g) : g;
}

static inline void leaf_sums(double *sums, const float *gy, const float *x, int64_t n, const constants *k, bool relu) {
  vf g0 = {0}, g1 = {0}, d0 = {0}, d1 = {0};
  int64_t i = 0;
  for (; i + 2 <= n; i += 2) {
    const vf x0 = vf_load(x + i * L), x1 = vf_load(x + i * L + L);
    const vf a = gradient(gy + i * L, x0, k, relu), b = gradient(gy + i * L + L, x1, k, relu);
    g0 += a, g1 += b;
    d0 += a * (x0 - k->mean), d1 += b * (x1 - k->mean);
  }
  if (i < n) {
    const vf x0 = vf_load(x + i * L), a = gradient(gy + i * L, x0, k, relu);
    g0 += a, d0 += a * (x0 - k->mean);
  }
  add_leaf(sums, g0 + g1);
  add_leaf(sums + L, d0 + d1);
}

static inline void all_sums(double *sums, const float *gy, const float *x, int64_t n, const float *constant, bool relu) {
  const constants k = load(constant);
  int64_t i = 0;
  for (int s = 0; s < 2 * L; s++) sums[s] = 0;
  for (; i + LEAF <= n; i += LEAF) leaf_sums(sums, gy + i * L, x + i * L, LEAF, &k, relu);
  leaf_sums(sums, gy + i * L, x + i * L, n - i, &k, relu);
}

static void norm_sums(double *sums, const float *gy, const float *x, int64_t n, const float *k, bool relu) {
  if (relu) all_sums(sums, gy, x, n, k, true);
  else all_sums(sums, gy, x, n, k, false);
}

static inline void all_grads(float *gx, const float *gy, const float *x, int64_t n, const float *constant, bool relu) {
  const constants k = load(constant);
  const vf c1 = vf_load(constant + LN_NORM_C1 * L), c2 = vf_load(constant + LN_NORM_C2 * L);
  for (int64_t i = 0; i < n * L; i += L) {
    const vf v = vf_load(x + i), g = gradient(gy + i, v, &k, relu);
    vf_store(gx + i, k.factor * (g - c1 - (v - k.mean) * c2));
  }
}

static void norm_grad(float *gx, const float *gy, const float *x, int64_t n, const float *k, bool relu) {
  if (relu) all_grads(gx, gy, x, n, k, true);
  else all_grads(gx, gy, x, n, k, false);
}

static inline vf leaf_sum(const float *x, int64_t n) {
  vf s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const float *at = x + i * L;
    s0 += vf_load(at), s1 += vf_load(at + L), s2 += vf_load(at + 2 * L), s3 += vf_load(at + 3 * L);
  }
  for (; i < n; i++) s0 += vf_load(x + i * L);
  return (s0 + s1) + (s2 + s3);
}

static void sum(double *sums, const float *x, int64_t n) {
  int64_t i = 0;
  for (int s = 0; s < L; s++) sums[s] = 0;
  for (; i + LEAF <= n; i += LEAF) add_leaf(sums, leaf_sum(x + i * L, LEAF));
  add_leaf(sums, leaf_sum(x + i * L, n - i));
}

static inline vf leaf_relu_grad(float *gx, const float *gy, const float *y, int64_t n) {
  vf s0 = {0}, s1 = {0};
  int64_t i = 0;
  for (; i + 2 <= n; i += 2) {
    const int64_t at = i * L;
    const vf a = vf_and(vf_load(y + at) > 0, vf_load(gy + at)), b = vf_and(vf_load(y + at + L) > 0, vf_load(gy + at + L));
    vf_store(gx + at, a), vf_store(gx + at + L, b);
    s0 += a, s1 += b;
  }
  if (i < n) {
    const vf a = vf_and(vf_load(y + i * L) > 0, vf_load(gy + i * L));
    vf_store(gx + i * L, a);
    s0 += a;
  }
  return s0 + s1;
}

static void relu_grad_sum(double *sums, float *gx, const float *gy, const float *y, int64_t n) {
  int64_t i = 0;
  for (int s = 0; s < L; s++) sums[s] = 0;
  for (; i + LEAF <= n; i += LEAF) add_leaf(sums, leaf_relu_grad(gx + i * L, gy + i * L, y + i * L, LEAF));
  add_leaf(sums, leaf_relu_grad(gx + i * L, gy + i * L, y + i * L, n - i));
}

const ln_norm_kerns KERN(norm) = {
    .moments = moments, .normalize = normalize, .norm_sums = norm_sums, .norm_grad = norm_grad,
    .sum = sum, .relu_grad_sum = relu_grad_sum};
