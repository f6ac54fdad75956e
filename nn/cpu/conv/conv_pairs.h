/* conv_pairs.h: convolutions of bf16 as products of pairs (pairs.h): both sides blocked and stored as bf16, weights rounded as they
 * are read, sums in f32.
 *
 * Stride 1 with any kernel, padding (less than the kernel) and dilation, or windows that tile src (conv_tiles.h); one group; ci and
 * co multiples of the lanes. Sums and statistics do not depend on the thread count.
 */
#ifndef LN_CPU_CONV_PAIRS_H
#define LN_CPU_CONV_PAIRS_H

#include "conv_finish.h"

bool ln_pairs_can(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides);

/* -- conv_pairs.c: FORWARD and BACKWARD_DATA */

/* Positions of the pieces in which the output is finished while it is hot, or 0: it is not. */
int64_t ln_pairs_piece(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir);
/* Bytes of the weights as operands. They depend on the weights alone, so a frozen plan may keep them. */
size_t ln_pairs_weight_bytes(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir);
size_t ln_pairs_workspace(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, bool kept);
/* kept: room for the weights, or NULL; they are made where `fresh`. f is the rest of the epilogue, or NULL. */
void ln_pairs_run(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_tensors *t,
                  const ln_conv_images *images, const ln_finish *f, void *kept, bool fresh, void *workspace);

/* -- conv_pairs_grad.c: BACKWARD_WEIGHTS */
size_t ln_pairs_grad_workspace(const ln_cpu *cpu, const ln_conv_geometry *g);
void ln_pairs_grad_run(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_tensors *t, const ln_conv_images *images,
                       void *workspace);

#endif
