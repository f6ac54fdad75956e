/* conv_tiles.h: convolutions whose windows tile src (kernel = stride, no padding: 1x1, and the 2x2 with stride 2 of
 * U-Nets' transposed convolutions), between blocked sides. Each is one matrix product; pixels are gathered
 * or scattered by address, so no columns are made.
 */
#ifndef LN_CPU_CONV_TILES_H
#define LN_CPU_CONV_TILES_H

#include "conv_finish.h"

bool ln_tiles_can(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides);
/* Pixels of a piece that f shall be cut into, 0 for any. */
int64_t ln_tiles_piece(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir);
size_t ln_tiles_workspace(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, bool bias);
/* Adds the bias, finishes the output with f where it is not NULL. */
void ln_tiles_run(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides,
                  const ln_conv_tensors *t, const ln_finish *f, void *workspace);

/* conv_tiles_grad.c: BACKWARD_WEIGHTS. */
size_t ln_tiles_grad_workspace(const ln_cpu *cpu, const ln_conv_geometry *g);
void ln_tiles_grad_run(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides, const ln_conv_tensors *t,
                       void *workspace);

#endif
