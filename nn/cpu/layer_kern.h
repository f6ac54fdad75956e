/* layer_kern.h: vector kernels of the memory-bound layers over the blocked layout (kern_layer*.c).
 *
 * `n` counts positions, each of LN_LANES neighbouring elements; void * is activations (kern.h). Constants of a channel come as arrays of that many.
 * These files are compiled without contraction: a multiplication is as good as free beside the memory, and so
 * results that are no sums have the bits of the plain kernels.
 */
#ifndef LN_CPU_LAYER_KERN_H
#define LN_CPU_LAYER_KERN_H

#include "kern.h"
#include "pool.h"
#include "span.h" /* ln_moments */

typedef struct ln_norm_kerns { /* kern_layer_norm.c */
  /* Of each lane: m becomes the moments of n > 0 positions. */
  void (*moments)(ln_moments *m, const void *x, int64_t n);
  /* y = (x - mean) factor + shift, and ReLU. k: norm.h's constants; y may be x. */
  void (*normalize)(void *y, const void *x, int64_t n, const float *k, bool relu);
  /* Of each lane: sums[0..] = sum gy, sums[lanes..] = sum gy (x - mean); relu: gy is masked by normalize's y. */
  void (*norm_sums)(double *sums, const void *gy, const void *x, int64_t n, const float *k, bool relu);
  /* gx = factor (gy - c1 - (x - mean) c2), gy masked likewise; gx may be gy. */
  void (*norm_grad)(void *gx, const void *gy, const void *x, int64_t n, const float *k, bool relu);
  /* Of each lane: the sum of x; of gx = y > 0 ? gy : 0, which may be gy. */
  void (*sum)(double *sums, const void *x, int64_t n);
  void (*relu_grad_sum)(double *sums, void *gx, const void *gy, const void *y, int64_t n);
} ln_norm_kerns;

typedef struct ln_pool_kerns { /* kern_layer_pool.c */
  /* An output row; x is the plane's first position. */
  void (*max_pool)(void *y, int32_t *index, const void *x, const ln_window *w, int64_t od, int64_t oh);
  /* The same for windows of 2 x 2, stride 2; x is the row's first position, `base` its index. */
  void (*max_pool_2x2)(void *y, int32_t *index, const void *x, int64_t width, int64_t n, int32_t base);
  /* What n outputs' indices say: is one outside [0, volume), is one outside its own 2 x 2 window (the row's first
   * window begins at `base`)? */
  void (*pool_look)(const int32_t *index, int64_t n, int32_t volume, int32_t base, int32_t width, bool *outside, bool *beside);
  /* Two rows of gx, when no index is beside its window: gy where the index says so, else 0; plus other
   * unless it is NULL, which may be gx. */
  void (*unpool_2x2)(void *gx, const void *other, const void *gy, const int32_t *index, int64_t width, int64_t n, int32_t base);
  void (*scatter)(float *gx, const void *gy, const int32_t *index, int64_t n); /* gx[index] += gy, in f32: sums of overlapping windows are rounded once */
  /* An output row of the mean, and back, added to gx, or stored where windows tile it; counts: 1 / elements of each
   * output's window. */
  void (*avg_pool)(void *y, const void *x, const ln_window *w, int64_t od, int64_t oh, const float *counts);
  void (*avg_pool_grad)(void *gx, const void *gy, const ln_window *w, int64_t od, int64_t oh, const float *counts,
                        bool tiles);
} ln_pool_kerns;

typedef struct ln_move_kerns { /* kern_layer_move.c */
  /* n positions of `lanes` plain rows, `row` elements apart, and their blocked form. Plain elements are floats or, blocked
   * as such, of any type of 4 bytes. */
  void (*to_blocked)(void *y, const float *x, int64_t row, int64_t n);
  void (*to_plain)(float *y, int64_t row, const void *x, int64_t n);
  /* From rows of floats: y[i] = x[lo[i]] wlo[i] + x[hi[i]] whi[i]; y[i] = x[lo[i]] */
  void (*taps)(void *y, const float *x, const int32_t *lo, const int32_t *hi, const float *wlo, const float *whi, int64_t n);
  void (*pick)(void *y, const float *x, const int32_t *lo, int64_t n);
  /* y[i] = sum over k < count[i] of x[first[i] + k] weight[start[i] + k] */
  void (*collect)(void *y, const float *x, const int32_t *first, const int32_t *count, const int32_t *start,
                  const float *weight, int64_t n);
} ln_move_kerns;

typedef struct ln_layer_kerns {
  const ln_norm_kerns *norm;
  const ln_pool_kerns *pool;
  const ln_move_kerns *move;
} ln_layer_kerns;

#ifdef LN_ISA
extern const ln_norm_kerns KERN(norm), KERN(norm_bf16);
extern const ln_pool_kerns KERN(pool), KERN(pool_bf16);
extern const ln_move_kerns KERN(move), KERN(move_bf16);
extern const ln_layer_kerns KERN(layer), KERN(layer_bf16);

static inline vf vf_and(vi mask, vf v) { return (vf)(mask & (vi)v); }
static inline vf vf_andnot(vi mask, vf v) { return (vf)(~mask & (vi)v); }
static inline vf vf_choose(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
static inline vi vi_choose(vi mask, vi a, vi b) { return (mask & a) | (~mask & b); }
static inline vi vi_load(const int32_t *p) { return *(const vi *)p; }
static inline void vi_store(int32_t *p, vi v) { *(vi *)p = v; }
static inline vi vi_splat(int32_t s) {
#if LN_LANES == 8
  return (vi){s, s, s, s, s, s, s, s};
#else
  return (vi){s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s};
#endif
}
static inline bool vi_any(vi v) {
  int32_t any = 0;
  for (int i = 0; i < LN_LANES; i++) any |= v[i];
  return any != 0;
}
#endif

#endif
