/* kern_conv.c: a convolution's epilogue over blocked data, in leaves that stay in the first-level cache.
 *
 * A leaf's sums are f32 in two chains a lane, what is kept across leaves is double.
 */
#include "conv_kern.h"

enum { LEAF = 64 };

typedef double vd __attribute__((vector_size(LN_LANES * 8), aligned(8), may_alias));

/* What is known so far of a block's channels: deviations from `origin`, the first leaf's mean. */
typedef struct totals {
  vd origin, first, second;
} totals;

static inline void add_bias(act *y, int64_t count, const float *bias) {
  vf b = vf_load(bias);
  for (int64_t i = 0; i < count; i++) act_store(y + i * LN_LANES, act_round(act_load(y + i * LN_LANES) + b));
}

static inline vf leaf_sum(const act *y, int64_t count) {
  vf s0 = {0}, s1 = {0};
  int64_t i = 0;
  for (; i + 2 <= count; i += 2) {
    s0 += act_load(y + i * LN_LANES);
    s1 += act_load(y + (i + 1) * LN_LANES);
  }
  if (i < count) s0 += act_load(y + i * LN_LANES);
  return s0 + s1;
}

/* The leaf's mean is rounded to f32; the sum of the deviations from it says what that has cost. */
static inline void add_moments(totals *t, const act *y, int64_t count, bool begin) {
  vf mean = leaf_sum(y, count) * vf_splat(1.0f / (float)count);
  vf d = {0}, q0 = {0}, q1 = {0};
  int64_t i = 0;
  for (; i + 2 <= count; i += 2) {
    vf a = act_load(y + i * LN_LANES) - mean, b = act_load(y + (i + 1) * LN_LANES) - mean;
    d += a + b;
    q0 += a * a;
    q1 += b * b;
  }
  if (i < count) {
    vf a = act_load(y + i * LN_LANES) - mean;
    d += a;
    q0 += a * a;
  }
  vf q = q0 + q1;
  vd dev = __builtin_convertvector(d, vd), n = (vd){0} + (double)count;
  vd at = __builtin_convertvector(mean, vd) + dev / n;
  if (begin) *t = (totals){.origin = at};
  t->second += __builtin_convertvector(q, vd) - dev * dev / n + n * (at - t->origin) * (at - t->origin);
  t->first += n * (at - t->origin);
}

static inline void relu(act *y, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    vf v = act_load(y + i * LN_LANES);
    vi keep = ~(v <= (vf){0}); /* a NaN stays */
    act_store(y + i * LN_LANES, (vf)(keep & (vi)v));
  }
}

static inline void apply_mask(act *y, const act *mask, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    vi keep = act_load(mask + i * LN_LANES) > (vf){0};
    act_store(y + i * LN_LANES, (vf)(keep & (vi)act_load(y + i * LN_LANES)));
  }
}

static void finish(const ln_finish_run *r) {
  totals t = {0};
  vd sums = {0};
  for (int64_t i = 0; i < r->positions; i += LEAF) {
    act *y = (act *)r->y + i * LN_LANES;
    int64_t count = r->positions - i < LEAF ? r->positions - i : LEAF;
    if (r->bias != NULL) add_bias(y, count, r->bias);
    if (r->moments != NULL) add_moments(&t, y, count, i == 0);
    if (r->relu) relu(y, count);
    if (r->mask != NULL) apply_mask(y, (const act *)r->mask + i * LN_LANES, count);
    if (r->sums != NULL) sums += __builtin_convertvector(leaf_sum(y, count), vd);
  }
  for (int k = 0; k < LN_LANES; k++) {
    double n = (double)r->positions;
    if (r->moments != NULL)
      r->moments[k] = (ln_moments){n, t.origin[k] + t.first[k] / n, t.second[k] - t.first[k] * t.first[k] / n};
    if (r->sums != NULL) r->sums[k] = sums[k];
  }
}

const ln_conv_kerns KERN_ACT(conv) = {.finish = finish, .pixels = LN_PIXELS, .product = KERN_ACT(products),
                                      .outer = KERN_ACT(outers), .reduce = KERN_ACT(reduces)};
