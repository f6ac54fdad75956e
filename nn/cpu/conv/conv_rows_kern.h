/* conv_rows_kern.h: what conv_rows*.c (cuts, threads) ask of kern_conv_rows.c (arithmetic). */
#ifndef LN_CPU_CONV_ROWS_KERN_H
#define LN_CPU_CONV_ROWS_KERN_H

#include "../kern.h"

/* Weight gradients of up to LN_ROWS_TAPS neighbouring taps of a row and some channels of one block of src's, with one
 * block of dst's:
 *   sums[c channel_step + t lanes ..] (+)= the sum over rows i, columns x in [begin, end) of
 *        src[src_at[i] + x lanes + c] dst[dst_at[i] + (x + shift - t) lanes ..]
 * where columns of dst outside [0, width) are zero. */
enum { LN_ROWS_TAPS = 3 };
typedef struct ln_rows_grad {
  const float *src, *dst;
  const int64_t *src_at, *dst_at;
  int64_t rows, begin, end, shift, width;
  float *sums;
  int64_t channel_step;
  bool add; /* to what sums are */
} ln_rows_grad;

typedef struct ln_rows_kerns {
  void (*grad[LN_ROWS_TAPS + 1])(const ln_rows_grad *r); /* by taps */
  int channels[LN_ROWS_TAPS + 1];                        /* of one call; they divide the lanes */
} ln_rows_kerns;

#ifdef LN_ISA
extern const ln_rows_kerns KERN(rows);
#endif

#endif
