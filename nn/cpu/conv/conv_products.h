/* conv_products.h: conv_gemm.c's matrix products for sides in any layout. */
#ifndef LN_CPU_CONV_PRODUCTS_H
#define LN_CPU_CONV_PRODUCTS_H

#include "conv.h"

size_t ln_conv_products_workspace(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides);
/* Adds the bias. */
void ln_conv_products_run(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides,
                          const ln_conv_tensors *t, void *workspace);

#endif
