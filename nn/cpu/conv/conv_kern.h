/* conv_kern.h: the vector kernels of convolutions over the blocked layout (kern_conv*.c). A vector holds
 * one position's `lanes` neighbouring channels. Blocked sides (void *) are activations (kern.h), what is plain is floats.
 */
#ifndef LN_CPU_CONV_KERN_H
#define LN_CPU_CONV_KERN_H

#include "conv.h"
#include "../kern.h"

/* An epilogue over neighbouring positions of one block of channels; bias, moments and sums are
 * those of the block, and are left out where NULL. */
typedef struct ln_finish_run {
  void *y;
  const void *mask;
  int64_t positions;
  const float *bias;
  bool relu;
  ln_moments *moments;
  double *sums;
} ln_finish_run;

/* Products of pixels with a panel of one or two vectors of weights: for every pixel i < count, and vector v of the panel,
 *   out[out_at[i] + place[v] .. + lanes) = (what it is, or bias[v]) + sum over blocks b and k < inner of
 *                                          in[in_at[i] + offset[b] + k] weights[b inner + k][v]
 * where a vector of weights or bias is `lanes` floats. inner is lanes where in is blocked, 1 where it is
 * plain. A kernel works on so many pixels at a time, and leaves out those that are left over. */
enum { LN_PRODUCT_PIXELS = 12 }; /* most that any instruction set takes; `pixels` says how many this one does */
typedef struct ln_product {
  const void *in;
  void *out;
  const int64_t *in_at, *out_at, *offset, *place;
  int64_t count, blocks;
  const float *weights, *bias; /* bias or NULL */
  bool add;                    /* to what out is */
} ln_product;
typedef void ln_product_fn(const ln_product *p);

/* Outer products summed over rows of positions: sum[i][v] += scalar(p, i) vector v(p). A position's scalars are
 * scalar[at[i]], `scalar_step` floats further for the next position; its vectors lie side by side. Sums start from
 * what they are and stay in registers, so callers keep rows * width to a few hundred. */
enum { LN_OUTER_SCALARS = 8 };
typedef struct ln_outer {
  const void *scalar, *vector[2]; /* scalars: plain or blocked, by the choice of the kernel */
  const int64_t *at;
  int64_t rows, width, scalar_row, scalar_step, vector_row; /* elements from a row to the next */
  float *sum; /* [scalars][vectors][lanes] */
} ln_outer;
typedef void ln_outer_fn(const ln_outer *o);

/* One or two plain channels of neighbouring pixels, of one or more blocks of channels:
 *   out[c][r step] = start[c] + sum over taps t, blocks b and lanes l of
 *               in[offset[t] + b block_step + r lanes + l] weights[weight[t] + b weight_step + c lanes + l] */
enum { LN_REDUCE_PIXELS = 8 };
typedef struct ln_reduce {
  const void *in;
  const float *weights;
  const int64_t *offset, *weight;
  int64_t taps, blocks, block_step, weight_step;
  float *out[2], start[2];
  int64_t step;
} ln_reduce;
typedef void ln_reduce_fn(const ln_reduce *r);

typedef struct ln_conv_kerns {
  void (*finish)(const ln_finish_run *r);
  int pixels;
  ln_product_fn *const (*product)[2][LN_PRODUCT_PIXELS + 1]; /* [inner is 1][vectors - 1][pixels] */
  ln_outer_fn *const (*outer)[2][LN_OUTER_SCALARS + 1];     /* [scalars are plain][vectors - 1][scalars] */
  ln_reduce_fn *const (*reduce)[LN_REDUCE_PIXELS + 1];      /* [channels - 1][pixels: 8 of one channel, 4, 2, 1] */
} ln_conv_kerns;

#ifdef LN_ISA
extern const ln_conv_kerns KERN_ACT(conv);
extern ln_product_fn *const KERN_ACT(products)[2][2][LN_PRODUCT_PIXELS + 1];
extern ln_outer_fn *const KERN_ACT(outers)[2][2][LN_OUTER_SCALARS + 1];
extern ln_reduce_fn *const KERN_ACT(reduces)[2][LN_REDUCE_PIXELS + 1];
/* Element `at`, a float where `plain`, else an activation, in all lanes. */
static inline __attribute__((always_inline)) vf conv_splat(const char *from, int64_t at, const bool plain) {
  return plain ? vf_splat(((const float *)(const void *)from)[at]) : act_splat((const act *)(const void *)from + at);
}
#define LN_PIXELS (LN_LANES == 16 ? 12 : 6) /* times two vectors of sums, and what they need, fill the registers */
#endif

#endif
