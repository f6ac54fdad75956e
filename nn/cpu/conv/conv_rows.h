/* conv_rows.h: direct weight gradients between blocked sides, row by row, in kernels of our own.
 *
 * Any kernel and padding, stride and dilation 1, one group; ci and co multiples of the lanes. No bits depend on the
 * thread count.
 */
#ifndef LN_CPU_CONV_ROWS_H
#define LN_CPU_CONV_ROWS_H

#include "conv.h"

bool ln_rows_can(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides);
size_t ln_rows_workspace(const ln_cpu *cpu, const ln_conv_geometry *g);
/* Writes t->weights. */
void ln_rows_run(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides, const ln_conv_tensors *t,
                 void *workspace);

#endif
