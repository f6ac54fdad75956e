/* kern_table.c: joins the parts of one instruction set's table of vector kernels. */
#include "kern.h"
#include "peak.h"

const ln_kerns KERN(table) = {.lanes = LN_LANES, .peak = &KERN(peak)};
