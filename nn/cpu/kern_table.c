/* kern_table.c: joins the parts of one instruction set's table of vector kernels. */
#include "kern.h"
#include "layer_kern.h"

const ln_kerns KERN(table) = {.lanes = LN_LANES, .layer = &KERN(layer)};
