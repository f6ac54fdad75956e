/* kern_pairs.c: products of pairs in vectors (see pairs.h). pairs_dot.c compiles it for AVX512-BF16, which multiplies two pairs
 * and adds both in one instruction; elsewhere that is two of f32's, slower than multiplying in f32 to begin with, but right.
 */
#include "pairs_kern.h"

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

enum {
  L = LN_LANES,
  ROWS = LN_LANES == 16 ? 8 : 4, /* at a time: sums of two tiles of columns stay in registers */
  VECTORS = LN_PAIRS_TILE / LN_LANES
};

#define INLINE static inline __attribute__((always_inline))

typedef uint32_t vp __attribute__((vector_size(LN_LANES * 4), aligned(4), may_alias)); /* a pair in each lane */

INLINE vf add_products(vf sum, vp a, vp b) {
#ifdef __AVX512BF16__
  return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
  sum += (vf)(a & 0xffff0000u) * (vf)(b & 0xffff0000u);
  return sum + (vf)(a << 16) * (vf)(b << 16);
#endif
}

/* ROWS rows from `a` on, of `columns` tiles of columns. */
INLINE void multiply_rows(const ln_pairs_product *p, const uint16_t *a, float *c, const int64_t c_tile, const int columns) {
  vf sum[ROWS][2 * VECTORS];
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
    for (int v = 0; v < columns * VECTORS; v++)
      sum[r][v] = p->add ? vf_load(c + v / VECTORS * c_tile + r * LN_PAIRS_TILE + v % VECTORS * L) : (vf){0};
  for (int64_t s = 0; s < p->steps; s++) {
    const uint16_t *at = a + p->at[s], *b = p->b + s * LN_PAIRS_STEP;
    for (int k = 0; k < LN_PAIRS_TILE; k++) {
      vp pairs[2 * VECTORS];
#pragma GCC unroll 4
      for (int v = 0; v < columns * VECTORS; v++)
        pairs[v] = *(const vp *)(const void *)(b + v / VECTORS * p->b_tile + (k * LN_PAIRS_TILE + v % VECTORS * L) * 2);
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; r++) {
        uint32_t pair;
        __builtin_memcpy(&pair, at + r * p->a_row + 2 * k, sizeof pair);
        const vp x = pair - (vp){0};
#pragma GCC unroll 4
        for (int v = 0; v < columns * VECTORS; v++) sum[r][v] = add_products(sum[r][v], x, pairs[v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
    for (int v = 0; v < columns * VECTORS; v++)
      vf_store(c + v / VECTORS * c_tile + r * LN_PAIRS_TILE + v % VECTORS * L, sum[r][v]);
}

INLINE void multiply(const ln_pairs_product *p, const int rows, const int columns) {
  for (int tile = 0; tile < rows; tile++)
    for (int r = 0; r < LN_PAIRS_TILE; r += ROWS)
      multiply_rows(p, p->a + tile * p->a_tile + r * p->a_row, p->c + tile * LN_PAIRS_SUMS + r * LN_PAIRS_TILE,
                    rows * LN_PAIRS_SUMS, columns);
}

static void multiply_1x1(const ln_pairs_product *p) { multiply(p, 1, 1); }
static void multiply_1x2(const ln_pairs_product *p) { multiply(p, 1, 2); }
static void multiply_2x1(const ln_pairs_product *p) { multiply(p, 2, 1); }
static void multiply_2x2(const ln_pairs_product *p) { multiply(p, 2, 2); }
static void nothing(void) {}

const ln_pairs KERN(pairs) = {
#ifdef __AVX512BF16__
    .rate = 2,
#endif
    .begin = nothing, .end = nothing, .multiply = {{multiply_1x1, multiply_1x2}, {multiply_2x1, multiply_2x2}}};
