/* conv_finish.h: a convolution's epilogue (conv.h) as a pass over its output.
 *
 * The output is cut into units: a piece of an image's positions in one channel (plain) or in one block
 * of channels (blocked). A method that has a unit in the cache finishes it there; otherwise
 * ln_finish_images goes over whole images. Either way a unit's statistics lie in a place of its own
 * and are merged in the order of the units, so that no thread count changes their bits.
 */
#ifndef LN_CPU_CONV_FINISH_H
#define LN_CPU_CONV_FINISH_H

#include "conv.h"

typedef struct ln_finish {
  const ln_cpu *cpu;
  ln_epilogue e;              /* what is left to do; its moments and sums are filled by ln_finish_merge */
  void *y;
  int64_t act;                /* bytes of y's elements */
  ln_layout layout;
  int64_t n, channels, pixels; /* of y */
  int64_t image;              /* elements from one image of y to the next */
  int64_t piece, pieces;      /* positions of a piece, the last may be shorter; pieces of an image */
  int64_t width, blocks;      /* channels of a unit; units side by side */
  ln_moments *moments;        /* [n][pieces][channels], and sums alike */
  double *sums;
} ln_finish;

/* The output y of dir, to be finished in the default pieces. Everything but e and y's data, which are known when it runs. */
ln_finish ln_finish_of(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_arg *y);
/* Cuts images into pieces of that many positions instead. */
void ln_finish_cut(ln_finish *f, int64_t piece);
/* For the statistics, where the call has any. */
size_t ln_finish_workspace(const ln_finish *f, bool moments, bool sums);
/* e, y and the workspace of this run. */
void ln_finish_bind(ln_finish *f, const ln_epilogue *e, void *y, void *workspace);

bool ln_finish_needed(const ln_epilogue *e);
void ln_finish_unit(const ln_finish *f, int64_t image, int64_t piece, int64_t block);
void ln_finish_images(const ln_finish *f, int64_t first, int64_t end); /* threaded */
void ln_finish_merge(const ln_finish *f);                             /* after the last unit */

#endif
