/* conv_rows.h: direct convolutions with stride 1 between blocked sides, row by row, in kernels of our own.
 *
 * Any kernel and padding, dilation 1, one group; ci and co multiples of the lanes. No result's bits depend on
 * the thread count.
 */
#ifndef LN_CPU_CONV_ROWS_H
#define LN_CPU_CONV_ROWS_H

#include "conv.h"

bool ln_rows_can(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides);

/* conv_rows_grad.c: BACKWARD_WEIGHTS. Writes t->weights. */
size_t ln_rows_grad_workspace(const ln_cpu *cpu, const ln_conv_geometry *g);
void ln_rows_grad_run(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides, const ln_conv_tensors *t,
                      void *workspace);

#endif
