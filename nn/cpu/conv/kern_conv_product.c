/* kern_conv_product.c: the products of conv_kern.h. 6 pixels times two vectors of sums, two vectors of weights and
 * a broadcast are 15 of AVX2's 16 registers; 12 pixels are 27 of AVX-512's 32. */
#include "conv_kern.h"

#define INLINE static inline __attribute__((always_inline))

INLINE void multiply(const ln_product *p, int64_t first, const int pixels, const int vectors, const int inner) {
  const bool plain = inner == 1; /* the inputs */
  const int64_t size = plain ? (int64_t)sizeof(float) : (int64_t)sizeof(act);
  const char *in[LN_PIXELS];
  const float *w = p->weights;
  vf sum[LN_PIXELS][2];
#pragma GCC unroll 12
  for (int r = 0; r < pixels; r++) in[r] = (const char *)p->in + p->in_at[first + r] * size;
  for (int v = 0; v < vectors; v++) {
    const act *out = (const act *)p->out + p->place[v];
    vf start = p->bias != NULL ? vf_load(p->bias + v * LN_LANES) : (vf){0};
#pragma GCC unroll 12
    for (int r = 0; r < pixels; r++) sum[r][v] = p->add ? act_load(out + p->out_at[first + r]) : start;
  }
  for (int64_t b = 0; b < p->blocks; b++) {
    const int64_t offset = p->offset[b];
#pragma GCC unroll 4
    for (int i = 0; i < inner; i++, w += vectors * LN_LANES) {
      vf w0 = vf_load(w), w1 = vectors > 1 ? vf_load(w + LN_LANES) : w0;
#pragma GCC unroll 12
      for (int r = 0; r < pixels; r++) {
        vf x = conv_splat(in[r], offset + i, plain);
        sum[r][0] += x * w0;
        if (vectors > 1) sum[r][1] += x * w1;
      }
    }
  }
  for (int v = 0; v < vectors; v++) {
    act *out = (act *)p->out + p->place[v];
#pragma GCC unroll 12
    for (int r = 0; r < pixels; r++) act_store(out + p->out_at[first + r], act_round(sum[r][v]));
  }
}

/* A copy, as far as the compiler knows, no store can change. */
INLINE void multiply_all(const ln_product *given, const int pixels, const int vectors, const int inner) {
  const ln_product p = *given;
  for (int64_t i = 0; i + pixels <= p.count; i += pixels) multiply(&p, i, pixels, vectors, inner);
}

#define PRODUCT(pixels)                                                                                       \
  static void product_##pixels##_1(const ln_product *p) { multiply_all(p, pixels, 1, LN_LANES); }                 \
  static void product_##pixels##_2(const ln_product *p) { multiply_all(p, pixels, 2, LN_LANES); }                 \
  static void scalar_##pixels##_1(const ln_product *p) { multiply_all(p, pixels, 1, 1); }                         \
  static void scalar_##pixels##_2(const ln_product *p) { multiply_all(p, pixels, 2, 1); }
PRODUCT(1) PRODUCT(2) PRODUCT(3) PRODUCT(4) PRODUCT(5) PRODUCT(6)
#if LN_LANES == 16
PRODUCT(7) PRODUCT(8) PRODUCT(9) PRODUCT(10) PRODUCT(11) PRODUCT(12)
#define WIDE_ROW(name, v) , name##_7_##v, name##_8_##v, name##_9_##v, name##_10_##v, name##_11_##v, name##_12_##v
#else
#define WIDE_ROW(name, v)
#endif
#define ROW(name, v) {NULL, name##_1_##v, name##_2_##v, name##_3_##v, name##_4_##v, name##_5_##v, name##_6_##v WIDE_ROW(name, v)}

ln_product_fn *const KERN_ACT(products)[2][2][LN_PRODUCT_PIXELS + 1] = {{ROW(product, 1), ROW(product, 2)},
                                                                   {ROW(scalar, 1), ROW(scalar, 2)}};
