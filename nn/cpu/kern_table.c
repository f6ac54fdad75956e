/* kern_table.c: joins the parts of one instruction set's table of vector kernels, which it need not look into. */
#include "kern.h"

extern const struct ln_peak_kerns KERN(peak);
extern const struct ln_wino_kerns KERN(wino);
extern const struct ln_wino_grad_kerns KERN(wino_grad);
extern const struct ln_conv_kerns KERN(conv), KERN(conv_bf16);
extern const struct ln_rows_kerns KERN(rows);
extern const struct ln_layer_kerns KERN(layer), KERN(layer_bf16);
extern const struct ln_pairs KERN(pairs);
extern const struct ln_pairs_forms KERN(pairs_forms);

const ln_kerns KERN(table) = {.lanes = LN_LANES, .peak = &KERN(peak), .wino = &KERN(wino), .wino_grad = &KERN(wino_grad),
                              .conv = {&KERN(conv), &KERN(conv_bf16)}, .rows = &KERN(rows),
                              .layer = {&KERN(layer), &KERN(layer_bf16)}, .pairs = &KERN(pairs),
                              .pairs_forms = &KERN(pairs_forms)};
