/* conv_thin.h: convolutions between a blocked side and a plain one of few channels: a net's first layer and its head.
 *
 * Whichever side is thin, one relation holds: position p of the thick side meets the position p * stride +
 * tap * dilation - padding of the thin side. For a thin dst that is the convolution turned around: stride 1, and kernel
 * and padding are the mirrored ones. Then three things are left: thick from thin (spread), thin from
 * thick (reduce; with a stride only where windows tile the thin side), and the weights' gradient.
 */
#ifndef LN_CPU_CONV_THIN_H
#define LN_CPU_CONV_THIN_H

#include "conv_finish.h"
#include "conv_product.h"

enum { LN_THIN_CHANNELS = 8, LN_THIN_TAPS = 512 }; /* most channels of the thin side; most kernel elements */

typedef struct ln_thin {
  ln_conv_dir dir;
  bool thin_src;            /* else dst is thin */
  bool bf16;                /* the thick side is stored as bf16 */
  int64_t n, channels;      /* of the thin side */
  int64_t lanes, blocks;    /* of the thick side */
  int64_t kk;               /* kernel elements */
  int64_t thin[LN_SPATIAL], thick[LN_SPATIAL], kernel[LN_SPATIAL], stride[LN_SPATIAL], padding[LN_SPATIAL],
      dilation[LN_SPATIAL];
  int64_t thin_image, thick_image;
  int64_t padded[LN_SPATIAL]; /* the thin side with its padding, as far as it is met */
  bool copied;                /* that is not the thin side itself */
  bool tiles;                 /* windows tile the thin side */
} ln_thin;

bool ln_thin_can(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides);
ln_thin ln_thin_of(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides);

/* What conv.c calls, as conv_tiles.h. */
int64_t ln_thin_piece(const ln_thin *v);
size_t ln_thin_workspace(const ln_thin *v, bool bias);
void ln_thin_run(const ln_cpu *cpu, const ln_thin *v, const ln_conv_tensors *t, const ln_finish *f, void *workspace);

/* The parts: conv_thin.c, conv_thin_reduce.c, conv_thin_grad.c. Each takes the start of the workspace. */
size_t ln_thin_reduce_workspace(const ln_thin *v);
void ln_thin_reduce_run(const ln_cpu *cpu, const ln_thin *v, const ln_conv_tensors *t, void *workspace);
size_t ln_thin_grad_workspace(const ln_thin *v);
void ln_thin_grad_run(const ln_cpu *cpu, const ln_thin *v, const ln_conv_tensors *t, const float *thin, int64_t thin_image,
                      void *workspace);

/* From a thick position's first element of the (padded) thin side to the element of channel c and `tap`. */
int64_t ln_thin_offset(const ln_thin *v, int64_t c, int64_t tap);
/* Index of the weight of lane 0 of a thick block, thin channel c, tap; *step: to the next lane. */
int64_t ln_thin_weight(const ln_thin *v, int64_t block, int64_t c, int64_t tap, int64_t *step);

#endif
