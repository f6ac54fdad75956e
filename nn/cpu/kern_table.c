/* kern_table.c: joins the parts of one instruction set's table of vector kernels. */
#include "conv_kern.h"
#include "kern.h"
#include "wino_kern.h"

const ln_kerns KERN(table) = {.lanes = LN_LANES, .wino = &KERN(wino), .conv = &KERN(conv)};
