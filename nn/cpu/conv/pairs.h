/* pairs.h: products of bf16 matrices, summed in f32: what AMX's and AVX512-BF16's multipliers do, which take pairs of
 * neighbouring factors.
 *
 * A step multiplies tiles of 16 rows of A, each of 32 factors side by side, with tiles of B, in which the pairs of a column
 * lie in the rows' place: [16 pairs][16 columns][2]. C's tiles are 16 x 16 floats. A call works on up to 2 x 2 tiles of C, so
 * that every tile that is loaded is used twice.
 *
 * The products of bf16 numbers are exact in f32. In which order a step's are added up, and whether numbers below the smallest
 * normal one count, is the multiplier's.
 */
#ifndef LN_CPU_PAIRS_H
#define LN_CPU_PAIRS_H

#include "../cpu.h"

enum {
  LN_PAIRS_TILE = 16,                                /* rows, columns, pairs of a tile */
  LN_PAIRS_DEPTH = 2 * LN_PAIRS_TILE,                /* factors of a step */
  LN_PAIRS_STEP = LN_PAIRS_DEPTH * LN_PAIRS_TILE,    /* elements of a tile of B */
  LN_PAIRS_SUMS = LN_PAIRS_TILE * LN_PAIRS_TILE      /* elements of a tile of C */
};

typedef struct ln_pairs_product {
  const uint16_t *a, *b;
  const int64_t *at;             /* where each step's tiles of A begin, in elements from a; B's lie one after the other */
  int64_t steps;
  int64_t a_row, a_tile, b_tile; /* elements to the next row of A, to the second tile of rows, of columns */
  float *c;                      /* [tile of columns][tile of rows][16][16] */
  bool add;                      /* to what c is */
} ln_pairs_product;
typedef void ln_pairs_fn(const ln_pairs_product *p);

typedef struct ln_pairs {
  int rate;                         /* products in the time of one of f32's; 0: it is two of them, for tests and comparing */
  void (*begin)(void), (*end)(void); /* around a thread's products */
  ln_pairs_fn *multiply[2][2];      /* [tiles of rows - 1][tiles of columns - 1] */
} ln_pairs;

#if defined(__x86_64__)
extern const ln_pairs ln_pairs_amx;      /* pairs_amx.c */
extern const ln_pairs ln_kern_pairs_dot; /* pairs_dot.c: AVX512-BF16 */
#endif

/* The best that the processor has at cpu's level. */
const ln_pairs *ln_pairs_of(const ln_cpu *cpu);

#endif
