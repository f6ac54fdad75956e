/* grad_rules.h: the prototype of every gradient rule, made from the op table. */
#ifndef LN_GRAPH_GRAD_RULES_H
#define LN_GRAPH_GRAD_RULES_H

#include "op.h"

#define LN_DECLARE_GRAD(name) \
  void ln_grad_##name(struct ln_builder *b, const struct ln_node *node, struct ln_value *const *gout, \
                      struct ln_value **gin);
#define LN_DECLARE_NOGRAD(name)
#define LN_OP(name, inputs, outputs, attrs, saves, shape, gradient, ...) LN_DECLARE_##gradient(name)
#include "ops.def"
#undef LN_OP

#endif
