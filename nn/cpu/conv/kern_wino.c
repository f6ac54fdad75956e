/* kern_wino.c: the product in Winograd's transform domain, and the table of its kernels.
 *
 * `rows` tiles times two vectors of output channels stay in registers over all input channels: 12 sums, two
 * weights and one broadcast of AVX2's 16 registers, 28 sums of AVX-512's 32. Per step two loads and a broadcast a
 * row feed two FMAs a row, so the FMA units are the limit.
 */
#include "wino_transform.h"
#include "wino_kern.h"

#if LN_LANES == 16
enum { ROWS = 14 };
#else
enum { ROWS = 6 };
#endif

/* Floats to fetch ahead for each block of input channels: a quarter of a panel's. */
enum { AHEAD = LN_LANES * 2 * LN_LANES / 4 };

WINO_INLINE void product(const float *v, const float *u, float *m, int64_t blocks, bool add,
                         const float *ahead, const int rows, const int vectors) {
  vf sum[ROWS][2];
#pragma GCC unroll 14
  for (int r = 0; r < rows; r++)
    for (int j = 0; j < vectors; j++) sum[r][j] = add ? vf_load(m + (j * rows + r) * LN_LANES) : (vf){0};
  for (int64_t b = 0; b < blocks; b++, v += rows * LN_LANES) {
#pragma GCC unroll 8
    for (int i = 0; i < AHEAD; i += 16) __builtin_prefetch(ahead + i, 0, 2);
    ahead += AHEAD;
#pragma GCC unroll 4
    for (int k = 0; k < LN_LANES; k++, u += vectors * LN_LANES) {
      const vf u0 = vf_load(u), u1 = vf_load(u + (vectors - 1) * LN_LANES);
#pragma GCC unroll 14
      for (int r = 0; r < rows; r++) {
        const vf s = vf_splat(v[r * LN_LANES + k]);
        sum[r][0] += s * u0;
        if (vectors > 1) sum[r][1] += s * u1;
      }
    }
  }
#pragma GCC unroll 14
  for (int r = 0; r < rows; r++)
    for (int j = 0; j < vectors; j++) vf_store(m + (j * rows + r) * LN_LANES, sum[r][j]);
}

#define PRODUCT(r)                                                                                             \
  static void product_##r(const float *v, const float *u, float *m, int64_t blocks, bool add, const float *ahead) {                \
    product(v, u, m, blocks, add, ahead, r, 1);                                                                       \
  }                                                                                                            \
  static void product2_##r(const float *v, const float *u, float *m, int64_t blocks, bool add, const float *ahead) {               \
    product(v, u, m, blocks, add, ahead, r, 2);                                                                       \
  }
PRODUCT(1) PRODUCT(2) PRODUCT(3) PRODUCT(4) PRODUCT(5) PRODUCT(6)
#if LN_LANES == 16
PRODUCT(7) PRODUCT(8) PRODUCT(9) PRODUCT(10) PRODUCT(11) PRODUCT(12) PRODUCT(13) PRODUCT(14)
#define TABLE(p) {NULL, p##1, p##2, p##3, p##4, p##5, p##6, p##7, p##8, p##9, p##10, p##11, p##12, p##13, p##14}
#else
#define TABLE(p) {NULL, p##1, p##2, p##3, p##4, p##5, p##6}
#endif

const ln_wino_kerns KERN(wino) = {.rows = ROWS, .product = {TABLE(product_), TABLE(product2_)},
                                  .form = {{&KERN(wino_form2), &KERN(wino_form4)},
                                           {&KERN(wino_form2_bf16), &KERN(wino_form4_bf16)}}};
