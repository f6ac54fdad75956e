/* kern_table.c: joins the parts of one instruction set's table of vector kernels. */
#include "conv_kern.h"
#include "kern.h"
#include "wino_kern.h"
#include "winograd_grad.h"

const ln_kerns KERN(table) = {
    .lanes = LN_LANES, .wino = &KERN(wino), .wino_grad = &KERN(wino_grad), .conv = &KERN(conv)};
