/* conv_pairs_side.h: a side of a convolution as products of pairs see it: a grid of positions, each with vectors of channels.
 *
 * With stride 1 these are the side's own. Of windows that tile src, a position is a window, and its vectors are
 * (channel block, kernel element): on that grid the convolution is 1x1.
 *
 * A piece of a side is copied into a slab of rows that are `pitch` positions apart, with the padding on its borders. A
 * tap then is a distance between positions of the slab, the same for all of them, and tiles take positions as they come, those
 * between two rows of the result too, which are thrown away.
 */
#ifndef LN_CPU_CONV_PAIRS_SIDE_H
#define LN_CPU_CONV_PAIRS_SIDE_H

#include "conv.h"
#include "pairs_kern.h"

typedef struct ln_side {
  const ln_conv_geometry *g;
  uint16_t *data;
  int64_t image, lanes;
  int64_t blocks, window;    /* vectors of a position; of each channel block, its kernel elements: 1 with stride 1 */
  int64_t grid[LN_SPATIAL];
  int64_t step[LN_SPATIAL];  /* elements from a position to the next */
  int64_t plane;             /* elements from a channel block to the next */
  const int64_t *extent;     /* of the side itself */
} ln_side;

/* What the products see of a convolution: on the sides' grids it has stride 1. */
typedef struct ln_taps {
  bool windows;
  int64_t kernel[LN_SPATIAL], padding[LN_SPATIAL], dilation[LN_SPATIAL]; /* padding in front, of src */
  int64_t count;
} ln_taps;

ln_taps ln_taps_of(const ln_conv_geometry *g);
/* Positions from a slab's first element to where a tap begins, in planes of `rows` rows. */
int64_t ln_taps_position(const ln_taps *t, int64_t tap, int64_t rows, int64_t pitch);
ln_side ln_side_src(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_tensors *t, const ln_conv_images *images);
ln_side ln_side_dst(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_tensors *t, const ln_conv_images *images);

/* Element 0 of vector `block` at a position of image n. */
uint16_t *ln_side_at(const ln_side *s, int64_t n, int64_t block, const int64_t at[LN_SPATIAL]);

/* From a weight of the kernel's to that of another channel, where the side's channels are `stride` weights apart: channels of
 * windows are (channel block, kernel element, lane). */
static inline int64_t ln_side_channel(const ln_side *s, int64_t channel, int64_t stride) {
  const int64_t block = channel / s->lanes;
  return (block / s->window * s->lanes + channel % s->lanes) * stride + block % s->window;
}

/* Both as bf16, the first in the lower half: kern.h's act_round. */
static inline uint32_t ln_bf16_pair(float first, float second) {
  const union { float value; uint32_t bits; } a = {first}, b = {second};
  const uint32_t low = a.bits + ((0x7fffu + ((a.bits >> 16) & 1u)) & -(uint32_t)(first == first));
  const uint32_t high = b.bits + ((0x7fffu + ((b.bits >> 16) & 1u)) & -(uint32_t)(second == second));
  return low >> 16 | (high & 0xffff0000u);
}

#endif
