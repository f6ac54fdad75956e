/* kern_table.c: joins the parts of one instruction set's table of vector kernels. */
#include "conv_kern.h"
#include "kern.h"
#include "winograd_grad.h"

const ln_kerns KERN(table) = {.lanes = LN_LANES, .wino_grad = &KERN(wino_grad)};
const ln_kerns KERN(table) = {.lanes = LN_LANES, .conv = &KERN(conv)};
