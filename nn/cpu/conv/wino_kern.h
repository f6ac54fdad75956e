/* wino_kern.h: the vector kernels of Winograd forward and backward-data (kern_wino*.c), as winograd.c calls them.
 *
 * A tile is m x m outputs and the (m+2)^2 patch of inputs under it. In the transform domain there are
 * P = (m+2)^2 positions, and at each a matrix product M[tiles][to] = V[tiles][from] U[from][to]. V and M are
 * [P][block of tiles][vector of channels][tile][lanes]: a block of at most `rows` tiles is what one product
 * kernel keeps in registers. U is, for a panel of one or two vectors of
 * output channels, [P][from][vector][lanes]. Positions lie `step` vectors apart, which is
 * more than dense, so that a tile's P vectors do not fall on one set of the first-level cache.
 */
#ifndef LN_CPU_WINO_KERN_H
#define LN_CPU_WINO_KERN_H

#include "conv.h"

/* Of maps in the blocked layout; offsets in elements from the first image, channel block 0. */
typedef struct ln_wino_tile {
  int64_t src;                         /* the patch's corner at depth tap 0; it may lie outside the map */
  int64_t dst, mask;                   /* the outputs' corner */
  int32_t depth;                       /* of tap 0's plane; may lie outside */
  int32_t top, bottom, left, right;    /* rows and columns of the patch that are inside */
  int32_t rows, cols;                  /* outputs that are inside */
  int32_t first, size;                 /* the block of tiles that it is in */
} ln_wino_tile;

/* Where vector j of `vectors` of tile t lies within a position of V or M, in vectors. */
static inline int64_t ln_wino_at(const ln_wino_tile *tiles, int64_t t, int64_t vectors, int64_t j) {
  const ln_wino_tile *tile = &tiles[t];
  return tile->first * vectors + j * tile->size + (t - tile->first);
}

/* One channel block of the input at one depth tap. */
typedef struct ln_wino_source {
  const void *src;       /* plus a tile's src: its patch */
  int64_t next;          /* elements to the channel block that will be wanted next */
  int64_t width;         /* vectors from row to row */
  int32_t tap, depth;    /* planes depth + tap outside [0, depth) count as zeros */
} ln_wino_source;

/* One channel block of the output and what follows (ln_epilogue, at this block's channels). */
typedef struct ln_wino_target {
  void *dst;             /* plus a tile's dst: its corner */
  int64_t next;          /* elements to the channel block that will be wanted next, of the mask too */
  int64_t width;         /* vectors from row to row, of the mask too */
  const float *bias;
  const void *mask;
  bool relu;
  ln_moments *moments;   /* merged into */
  double *sums;          /* added to */
} ln_wino_target;

/* Weights as they lie: tap (kh, kw) of lane l and k is w[l lane + k step + 3 kh + kw], or 8 minus that when flipped. */
typedef struct ln_wino_filter {
  const float *w;
  int64_t lane, k;
  bool flip;
} ln_wino_filter;

/* m = (add ? m : 0) + v u over blocks * lanes channels; v is [blocks][rows][lanes], m is [vector][rows][lanes]. */
typedef void (*ln_wino_product)(const float *v, const float *u, float *m, int64_t blocks, bool add,
                                const float *ahead);

typedef struct ln_wino_form { /* F(m x m, 3x3); maps are activations (kern.h), and weights are rounded as those are */
  int m;
  void (*input)(const ln_wino_source *s, const ln_wino_tile *tiles, int64_t count, float *v, int64_t vectors, int64_t j,
                int64_t step);
  /* `lanes` channels k, written row k vectors apart. */
  void (*weights)(const ln_wino_filter *f, float *u, int64_t row, int64_t step);
  void (*output)(const ln_wino_target *o, const ln_wino_tile *tiles, int64_t count, const float *m, int64_t vectors,
                 int64_t j, int64_t step);
} ln_wino_form;

enum { LN_WINO_ROWS = 14 }; /* the most of any instruction set */

typedef struct ln_wino_kerns {
  int rows;
  ln_wino_product product[2][LN_WINO_ROWS + 1]; /* [vectors - 1][rows] */
  const ln_wino_form *form[2][2];               /* [bf16][m = 2, m = 4] */
} ln_wino_kerns;

#ifdef LN_ISA
#include "../kern.h"
extern const ln_wino_form KERN(wino_form2), KERN(wino_form4), KERN(wino_form2_bf16), KERN(wino_form4_bf16);
extern const ln_wino_kerns KERN(wino);
#endif

#endif
