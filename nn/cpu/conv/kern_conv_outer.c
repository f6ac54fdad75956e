/* kern_conv_outer.c: the weight gradients' kernel of conv_kern.h: outer products of a few scalars and one or two vectors,
 * summed over rows of positions in registers. */
#include "conv_kern.h"

#define INLINE static inline __attribute__((always_inline))

INLINE void outer(const ln_outer *o, const int scalars, const int vectors, const bool plain) {
  const int64_t size = plain ? (int64_t)sizeof(float) : (int64_t)sizeof(act);
  vf sum[LN_OUTER_SCALARS][2];
#pragma GCC unroll 8
  for (int i = 0; i < scalars; i++)
    for (int v = 0; v < vectors; v++) sum[i][v] = vf_load(o->sum + (i * vectors + v) * LN_LANES);
  for (int64_t row = 0; row < o->rows; row++) {
    const char *at[LN_OUTER_SCALARS];
    const act *v0 = (const act *)o->vector[0] + row * o->vector_row;
    const act *v1 = vectors > 1 ? (const act *)o->vector[1] + row * o->vector_row : v0;
#pragma GCC unroll 8
    for (int i = 0; i < scalars; i++) at[i] = (const char *)o->scalar + (row * o->scalar_row + o->at[i]) * size;
    const int64_t step = o->scalar_step, width = o->width;
    for (int64_t w = 0, s = 0; w < width; w++, s += step) {
      vf a = act_load(v0 + w * LN_LANES), b = vectors > 1 ? act_load(v1 + w * LN_LANES) : a;
#pragma GCC unroll 8
      for (int i = 0; i < scalars; i++) {
        vf x = conv_splat(at[i], s, plain);
        sum[i][0] += x * a;
        if (vectors > 1) sum[i][1] += x * b;
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < scalars; i++)
    for (int v = 0; v < vectors; v++) vf_store(o->sum + (i * vectors + v) * LN_LANES, sum[i][v]);
}

#define OUTER(name, scalars, plain)                                                       \
  static void name##_##scalars##_1(const ln_outer *o) { outer(o, scalars, 1, plain); } \
  static void name##_##scalars##_2(const ln_outer *o) { outer(o, scalars, 2, plain); }
#define OUTERS(name, plain)                                                                 \
  OUTER(name, 1, plain) OUTER(name, 2, plain) OUTER(name, 3, plain) OUTER(name, 4, plain) \
  OUTER(name, 5, plain) OUTER(name, 6, plain) OUTER(name, 7, plain) OUTER(name, 8, plain)
#define ROW(name, v) \
  {NULL, name##_1_##v, name##_2_##v, name##_3_##v, name##_4_##v, name##_5_##v, name##_6_##v, name##_7_##v, name##_8_##v}

OUTERS(plain, true)
#ifdef LN_ACT_BF16
OUTERS(blocked, false)
#define BLOCKED(v) ROW(blocked, v)
#else
#define BLOCKED(v) ROW(plain, v) /* all are floats */
#endif

ln_outer_fn *const KERN_ACT(outers)[2][2][LN_OUTER_SCALARS + 1] = {{BLOCKED(1), BLOCKED(2)}, {ROW(plain, 1), ROW(plain, 2)}};
