/* kern_conv_outer.c: the weight gradients' kernel of conv_kern.h: outer products of a few scalars and one or two vectors,
 * summed over rows of positions in registers. */
#include "conv_kern.h"

#define INLINE static inline __attribute__((always_inline))

INLINE void outer(const ln_outer *o, const int scalars, const int vectors) {
  vf sum[LN_OUTER_SCALARS][2];
#pragma GCC unroll 8
  for (int i = 0; i < scalars; i++)
    for (int v = 0; v < vectors; v++) sum[i][v] = vf_load(o->sum + (i * vectors + v) * LN_LANES);
  for (int64_t row = 0; row < o->rows; row++) {
    const float *at[LN_OUTER_SCALARS], *v0 = o->vector[0] + row * o->vector_row;
    const float *v1 = vectors > 1 ? o->vector[1] + row * o->vector_row : v0;
#pragma GCC unroll 8
    for (int i = 0; i < scalars; i++) at[i] = o->scalar + row * o->scalar_row + o->at[i];
    const int64_t step = o->scalar_step, width = o->width;
    for (int64_t w = 0, s = 0; w < width; w++, s += step) {
      vf a = vf_load(v0 + w * LN_LANES), b = vectors > 1 ? vf_load(v1 + w * LN_LANES) : a;
#pragma GCC unroll 8
      for (int i = 0; i < scalars; i++) {
        vf x = vf_splat(at[i][s]);
        sum[i][0] += x * a;
        if (vectors > 1) sum[i][1] += x * b;
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < scalars; i++)
    for (int v = 0; v < vectors; v++) vf_store(o->sum + (i * vectors + v) * LN_LANES, sum[i][v]);
}

#define OUTER(scalars)                                                       \
  static void outer_##scalars##_1(const ln_outer *o) { outer(o, scalars, 1); } \
  static void outer_##scalars##_2(const ln_outer *o) { outer(o, scalars, 2); }
OUTER(1) OUTER(2) OUTER(3) OUTER(4) OUTER(5) OUTER(6) OUTER(7) OUTER(8)
#define ROW(v) {NULL, outer_1_##v, outer_2_##v, outer_3_##v, outer_4_##v, outer_5_##v, outer_6_##v, outer_7_##v, outer_8_##v}

ln_outer_fn *const KERN(outers)[2][LN_OUTER_SCALARS + 1] = {ROW(1), ROW(2)};
