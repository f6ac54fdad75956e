/* conv_kern.h: the vector kernels of convolutions over the blocked layout (kern_conv*.c). A vector holds
 * one position's `lanes` neighbouring channels.
 */
#ifndef LN_CPU_CONV_KERN_H
#define LN_CPU_CONV_KERN_H

#include "conv.h"
#include "kern.h"

/* An epilogue over neighbouring positions of one block of channels; bias, moments and sums are
 * those of the block, and are left out where NULL. */
typedef struct ln_finish_run {
  float *y;
  const float *mask;
  int64_t positions;
  const float *bias;
  bool relu;
  ln_moments *moments;
  double *sums;
} ln_finish_run;

typedef struct ln_conv_kerns {
  void (*finish)(const ln_finish_run *r);
} ln_conv_kerns;

#ifdef LN_ISA
extern const ln_conv_kerns KERN(conv);
#endif

#endif
