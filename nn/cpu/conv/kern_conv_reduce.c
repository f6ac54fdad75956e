/* kern_conv_reduce.c: few plain output channels of blocked input (conv_kern.h). A pixel's sum is a vector over input
 * channels until the end, so that inputs are read as they lie; the vector is added up across once a pixel. */
#include "conv_kern.h"

#define INLINE static inline __attribute__((always_inline))

INLINE float across(vf v) {
  for (int half = LN_LANES / 2; half > 1; half /= 2)
    for (int i = 0; i < half; i++) v[i] += v[i + half];
  return v[0] + v[1];
}

INLINE void reduce(const ln_reduce *r, const int pixels, const int channels) {
  vf sum[LN_REDUCE_PIXELS][2];
#pragma GCC unroll 8
  for (int i = 0; i < pixels; i++)
    for (int c = 0; c < channels; c++) sum[i][c] = (vf){0};
  for (int64_t t = 0; t < r->taps; t++) {
    const act *in = (const act *)r->in + r->offset[t];
    const float *w = r->weights + r->weight[t];
    for (int64_t b = 0; b < r->blocks; b++, in += r->block_step, w += r->weight_step) {
      vf w0 = vf_load(w), w1 = channels > 1 ? vf_load(w + LN_LANES) : w0;
#pragma GCC unroll 8
      for (int i = 0; i < pixels; i++) {
        vf x = act_load(in + i * LN_LANES);
        sum[i][0] += x * w0;
        if (channels > 1) sum[i][1] += x * w1;
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < pixels; i++)
    for (int c = 0; c < channels; c++) r->out[c][i * r->step] = r->start[c] + across(sum[i][c]);
}

#define REDUCE(pixels)                                                        \
  static void reduce_##pixels##_1(const ln_reduce *r) { reduce(r, pixels, 1); } \
  static void reduce_##pixels##_2(const ln_reduce *r) { reduce(r, pixels, 2); }
REDUCE(1) REDUCE(2) REDUCE(4)
static void reduce_8_1(const ln_reduce *r) { reduce(r, 8, 1); }

ln_reduce_fn *const KERN_ACT(reduces)[2][LN_REDUCE_PIXELS + 1] = {
    {[1] = reduce_1_1, [2] = reduce_2_1, [4] = reduce_4_1, [8] = reduce_8_1},
    {[1] = reduce_1_2, [2] = reduce_2_2, [4] = reduce_4_2}};
