/* shape.h: the shape rules, ln_shape_<SHAPE> for every name in the SHAPE column of ops.def.
 *
 * A rule runs when an op is recorded: it checks the inputs and attributes, so that an error names
 * the script's line, and fills the outputs' meta. After a rule has said LN_OK a kernel may trust
 * ranks, sizes, dtypes and attributes; only data (index values) is left for it to check.
 * Texts count dims and positions from 1, as scripts do. The recorder adds op, layer and line.
 */
#ifndef LN_GRAPH_SHAPE_H
#define LN_GRAPH_SHAPE_H

#include "op.h"

/* Rules serve several ops, so a declaration may repeat, which C allows. */
#define LN_OP(name, inputs, outputs, attrs_, saves, shape, ...) \
  ln_code ln_shape_##shape(const ln_meta *in, int nin, ln_attrs *attrs, ln_meta *out, ln_error *err);
#include "ops.def"
#undef LN_OP

#endif
