/* winograd_grad.h: what winograd_grad.c (blocking, threads) asks of kern_wino_grad.c (arithmetic).
 *
 * Transformed tiles lie as [36 positions][channel block][tile][lanes]; the blocks of a position are
 * block floats apart, positions `position` floats.
 */
#ifndef LN_CPU_WINOGRAD_GRAD_H
#define LN_CPU_WINOGRAD_GRAD_H

#include <stdbool.h>
#include <stdint.h>

enum {
  LN_WINO_TILE = 4,       /* outputs of a tile, each way */
  LN_WINO_POSITIONS = 36, /* (4 + 3 - 1)^2 products a tile */
  LN_WINO_STRIP = 16       /* most tiles of one call of input and gradient */
};

/* A window on one channel block of one plane, [h][w][lanes]: row y and column x of its corner may lie
 * outside, as may all else; what lies outside is zero. */
typedef struct ln_wino_window {
  const void *plane; /* activations (kern.h) */
  int64_t h, w, y, x;
} ln_wino_window;

/* Sums over tiles, per position, of every pair of output channel (row) and input channel:
 * positions are `position` floats apart; within one they lie in the order product visits them. */
typedef struct ln_wino_sums {
  float *data;
  int64_t position, rows, blocks; /* output channels; blocks of input channels */
} ln_wino_sums;

/* One position: sums[row][channel] (+)= the sum over tiles of y[tile][row] * x[tile][channel]. */
typedef struct ln_wino_grad_product {
  const float *x, *y;      /* the first block of either; y's is that of row row0 */
  const float *next_x, *next_y; /* those of the product that will follow, to be fetched meanwhile */
  int64_t tiles, block;    /* of both */
  int64_t row0, rows;      /* which of the sums' rows; multiples of the lanes */
  bool add;                /* to what the sums hold */
} ln_wino_grad_product;

typedef void ln_wino_grad_transform(const ln_wino_window *from, int64_t tiles, float *to, int64_t position);

typedef struct ln_wino_grad_kerns {
  /* B^T x B of `tiles` patches of 6x6, 4 columns apart, and A dy A^T of as many tiles of 4x4. */
  ln_wino_grad_transform *input[2], *gradient[2]; /* [bf16] */
  void (*product)(const ln_wino_grad_product *p, const ln_wino_sums *sums, int position);
  /* G^T sums G: rows [row0, row1) of the sums into weights[row * row_step + channel * channel_step + tap], 9 taps. */
  void (*output)(const ln_wino_sums *sums, int64_t row0, int64_t row1, float *weights, int64_t row_step,
                 int64_t channel_step);
} ln_wino_grad_kerns;

#ifdef LN_ISA
extern const ln_wino_grad_kerns KERN(wino_grad);
extern ln_wino_grad_transform KERN(wino_grad_input), KERN(wino_grad_gradient), KERN(wino_grad_input_bf16), KERN(wino_grad_gradient_bf16);
#endif

#endif
