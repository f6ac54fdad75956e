/* kern_layer_norm.c: statistics, normalisation and sums per channel over blocked planes.
 *
 * Sums go over leaves of LEAF positions in single precision, in four chains a lane, and leaves are added
 * up in double: the error stays that of some forty additions for any length.
 */
#include "layer_kern.h"
#include "norm.h"

enum { LEAF = 128, L = LN_LANES };

/* Doubles of all lanes, in two vectors of the size of vf: gcc keeps larger ones in memory. */
typedef float half __attribute__((vector_size(LN_LANES * 2)));
typedef double vd __attribute__((vector_size(LN_LANES * 4), aligned(8), may_alias));
typedef struct doubles {
  vd v[2];
} doubles;

static inline doubles widen(vf v) {
  const union { vf whole; half part[2]; } u = {v};
  return (doubles){{__builtin_convertvector(u.part[0], vd), __builtin_convertvector(u.part[1], vd)}};
}

static inline vf narrow(doubles d) {
  const union { half part[2]; vf whole; } u = {{__builtin_convertvector(d.v[0], half), __builtin_convertvector(d.v[1], half)}};
  return u.whole;
}

static inline void add_leaf(double *sums, vf s) {
  const doubles d = widen(s);
  vd *to = (vd *)sums;
  to[0] += d.v[0], to[1] += d.v[1];
}

static inline vf leaf_sum(const act *x, int n) {
  vf s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
  const int even = n - n % 4;
  for (int i = 0; i < even; i += 4) {
    const act *at = x + i * L;
    s0 += act_load(at), s1 += act_load(at + L), s2 += act_load(at + 2 * L), s3 += act_load(at + 3 * L);
  }
  for (int i = even; i < n; i++) s0 += act_load(x + i * L);
  return (s0 + s1) + (s2 + s3);
}

/* First and second moment of a leaf about k. */
static inline void leaf_about(const act *x, int n, vf k, vf *first, vf *second) {
  vf s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, q0 = {0}, q1 = {0}, q2 = {0}, q3 = {0};
  const int even = n - n % 4;
  for (int i = 0; i < even; i += 4) {
    const act *at = x + i * L;
    const vf a = act_load(at) - k, b = act_load(at + L) - k, c = act_load(at + 2 * L) - k, d = act_load(at + 3 * L) - k;
    s0 += a, s1 += b, s2 += c, s3 += d;
    q0 += a * a, q1 += b * b, q2 += c * c, q3 += d * d;
  }
  for (int i = even; i < n; i++) {
    const vf a = act_load(x + i * L) - k;
    s0 += a, q0 += a * a;
  }
  *first = (s0 + s1) + (s2 + s3), *second = (q0 + q1) + (q2 + q3);
}

/* The moments so far, relative to the first leaf's mean, which is near enough to the whole mean that the subtraction
 * at the end loses nothing in double. about: the last leaf's mean, rounded. */
typedef struct running {
  vf about;
  doubles origin, first, second;
} running;

/* A leaf is summed up about the mean of the one before, in one pass: what that is off is of the size of the data's
 * own deviations, so its square takes no more digits than those do. */
static inline void add_moments(running *r, const act *x, int n) {
  const double count = (double)n, inverse = 1 / count;
  vf first, second;
  leaf_about(x, n, r->about, &first, &second);
  const doubles about = widen(r->about), s = widen(first), q = widen(second);
  doubles mean;
  for (int h = 0; h < 2; h++) {
    const vd shift = s.v[h] * inverse;
    mean.v[h] = about.v[h] + shift;
    const vd off = mean.v[h] - r->origin.v[h];
    r->first.v[h] += off * count;
    r->second.v[h] += q.v[h] - s.v[h] * shift + off * off * count;
  }
  r->about = narrow(mean);
}

static void moments(ln_moments *m, const void *from, int64_t n) {
  const act *x = from;
  const int begin = n < LEAF ? (int)n : LEAF;
  running r = {.about = leaf_sum(x, begin) * vf_splat(1 / (float)begin)};
  r.origin = widen(r.about);
  int64_t i = 0;
  for (; i + LEAF <= n; i += LEAF) add_moments(&r, x + i * L, LEAF);
  if (i < n) add_moments(&r, x + i * L, (int)(n - i));
  const double all = (double)n;
  for (int k = 0; k < L; k++) {
    const int h = k / (L / 2), lane = k % (L / 2);
    const double first = r.first.v[h][lane], mean = first / all;
    m[k] = (ln_moments){.count = all, .mean = r.origin.v[h][lane] + mean, .m2 = r.second.v[h][lane] - first * mean};
  }
}

typedef struct constants {
  vf mean, factor, shift;
} constants;

static inline constants load(const float *k) {
  return (constants){vf_load(k + LN_NORM_MEAN * L), vf_load(k + LN_NORM_FACTOR * L), vf_load(k + LN_NORM_SHIFT * L)};
}

static inline vf normal(vf x, const constants *k) { return (x - k->mean) * k->factor + k->shift; }

static void normalize(void *to, const void *from, int64_t n, const float *constant, bool relu) {
  const constants k = load(constant);
  const act *x = from;
  act *y = to;
  if (!relu) {
    for (int64_t i = 0; i < n * L; i += L) act_store(y + i, act_round(normal(act_load(x + i), &k)));
    return;
  }
  for (int64_t i = 0; i < n * L; i += L) {
    const vf v = normal(act_load(x + i), &k);
    act_store(y + i, act_round(vf_andnot(v <= 0, v)));
  }
}

static inline vf gradient(const act *gy, vf x, const constants *k, bool relu) {
  const vf g = act_load(gy);
  return relu ? vf_and(normal(x, k) > 0, g) : g;
}

static inline void leaf_sums(double *sums, const act *gy, const act *x, int n, const constants *k, bool relu) {
  vf g0 = {0}, g1 = {0}, d0 = {0}, d1 = {0};
  int i = 0;
  for (; i + 2 <= n; i += 2) {
    const vf x0 = act_load(x + i * L), x1 = act_load(x + i * L + L);
    const vf a = gradient(gy + i * L, x0, k, relu), b = gradient(gy + i * L + L, x1, k, relu);
    g0 += a, g1 += b;
    d0 += a * (x0 - k->mean), d1 += b * (x1 - k->mean);
  }
  if (i < n) {
    const vf x0 = act_load(x + i * L), a = gradient(gy + i * L, x0, k, relu);
    g0 += a, d0 += a * (x0 - k->mean);
  }
  add_leaf(sums, g0 + g1);
  add_leaf(sums + L, d0 + d1);
}

static inline void all_sums(double *sums, const act *gy, const act *x, int64_t n, const float *constant, bool relu) {
  const constants k = load(constant);
  int64_t i = 0;
  for (int s = 0; s < 2 * L; s++) sums[s] = 0;
  for (; i + LEAF <= n; i += LEAF) leaf_sums(sums, gy + i * L, x + i * L, LEAF, &k, relu);
  leaf_sums(sums, gy + i * L, x + i * L, (int)(n - i), &k, relu);
}

static void norm_sums(double *sums, const void *gy, const void *x, int64_t n, const float *k, bool relu) {
  if (relu) all_sums(sums, gy, x, n, k, true);
  else all_sums(sums, gy, x, n, k, false);
}

static inline void all_grads(act *gx, const act *gy, const act *x, int64_t n, const float *constant, bool relu) {
  const constants k = load(constant);
  const vf c1 = vf_load(constant + LN_NORM_C1 * L), c2 = vf_load(constant + LN_NORM_C2 * L);
  for (int64_t i = 0; i < n * L; i += L) {
    const vf v = act_load(x + i), g = gradient(gy + i, v, &k, relu);
    act_store(gx + i, act_round(k.factor * (g - c1 - (v - k.mean) * c2)));
  }
}

static void norm_grad(void *gx, const void *gy, const void *x, int64_t n, const float *k, bool relu) {
  if (relu) all_grads(gx, gy, x, n, k, true);
  else all_grads(gx, gy, x, n, k, false);
}

static void sum(double *sums, const void *from, int64_t n) {
  const act *x = from;
  int64_t i = 0;
  for (int s = 0; s < L; s++) sums[s] = 0;
  for (; i + LEAF <= n; i += LEAF) add_leaf(sums, leaf_sum(x + i * L, LEAF));
  add_leaf(sums, leaf_sum(x + i * L, (int)(n - i)));
}

static inline vf leaf_relu_grad(act *gx, const act *gy, const act *y, int n) {
  vf s0 = {0}, s1 = {0};
  int i = 0;
  for (; i + 2 <= n; i += 2) {
    const int at = i * L;
    const vf a = vf_and(act_load(y + at) > 0, act_load(gy + at)), b = vf_and(act_load(y + at + L) > 0, act_load(gy + at + L));
    act_store(gx + at, a), act_store(gx + at + L, b);
    s0 += a, s1 += b;
  }
  if (i < n) {
    const vf a = vf_and(act_load(y + i * L) > 0, act_load(gy + i * L));
    act_store(gx + i * L, a);
    s0 += a;
  }
  return s0 + s1;
}

static void relu_grad_sum(double *sums, void *to, const void *from, const void *output, int64_t n) {
  act *gx = to;
  const act *gy = from, *y = output;
  int64_t i = 0;
  for (int s = 0; s < L; s++) sums[s] = 0;
  for (; i + LEAF <= n; i += LEAF) add_leaf(sums, leaf_relu_grad(gx + i * L, gy + i * L, y + i * L, LEAF));
  add_leaf(sums, leaf_relu_grad(gx + i * L, gy + i * L, y + i * L, (int)(n - i)));
}

const ln_norm_kerns KERN_ACT(norm) = {
    .moments = moments, .normalize = normalize, .norm_sums = norm_sums, .norm_grad = norm_grad,
    .sum = sum, .relu_grad_sum = relu_grad_sum};
