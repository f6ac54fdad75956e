/* grad.h: what gradient rules are written with.
 *
 * A rule gets the recorded node, the gradients that arrive at its outputs (NULL where
 * none does) and fills gin[i] for the inputs i where ln_wants(b, node, i). It records
 * ordinary ops through the builder, which owns every value it makes until the rule
 * returns and remembers the first failure: after one, every call returns NULL and
 * passes NULLs along, so that rules need no error branches.
 */
#ifndef LN_GRAPH_GRAD_H
#define LN_GRAPH_GRAD_H

#include "graph.h"

typedef struct ln_builder {
  ln_ctx *ctx;
  ln_code code;          /* the first failure; its text is in ctx->error */
  ln_value **made;       /* owned until the rule returns */
  int nmade, cap;
} ln_builder;

bool ln_wants(const ln_builder *b, const ln_node *node, int input);

/* Records op on in[0..nin) and returns its first output; all = room for every output or NULL. */
ln_value *ln_b(ln_builder *b, ln_op op, ln_value *const *in, int nin,
               const ln_attrs *attrs, const ln_scalars *scalars, ln_value **all);
ln_value *ln_b1(ln_builder *b, ln_op op, ln_value *x);
ln_value *ln_b2(ln_builder *b, ln_op op, ln_value *x, ln_value *y);
/* A scalar constant of x's dtype: broadcasts in ln_b2. */
ln_value *ln_bconst(ln_builder *b, const ln_value *like, double value);
ln_value *ln_bfull_like(ln_builder *b, const ln_value *like, double value);
ln_value *ln_breshape(ln_builder *b, ln_value *x, const ln_meta *shape);
ln_value *ln_bexpand(ln_builder *b, ln_value *x, const ln_meta *shape);
/* Sums gy over the dims that broadcasting added or stretched, so that it has the shape of `like`. */
ln_value *ln_bunbroadcast(ln_builder *b, ln_value *gy, const ln_value *like);
/* Sum over the dims in mask (bit i = dim i). */
ln_value *ln_bsum(ln_builder *b, ln_value *x, unsigned mask, bool keepdim);

#endif
