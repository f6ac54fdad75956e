/* grad_elementwise.c: gradient rules of the elementwise ops. */
#include "grad.h"
#include "grad_rules.h"

#define RULE(name) \
  void ln_grad_##name(ln_builder *b, const ln_node *node, ln_value *const *gout, ln_value **gin)

static ln_value *neg(ln_builder *b, ln_value *x) { return ln_b1(b, LN_OP_neg, x); }
static ln_value *mul(ln_builder *b, ln_value *x, ln_value *y) { return ln_b2(b, LN_OP_mul, x, y); }
static ln_value *divide(ln_builder *b, ln_value *x, ln_value *y) { return ln_b2(b, LN_OP_div, x, y); }

static ln_value *choose(ln_builder *b, ln_value *c, ln_value *yes, ln_value *no) {
  ln_value *in[3] = {c, yes, no};
  return ln_b(b, LN_OP_where, in, 3, NULL, NULL, NULL);
}

/* -- two inputs: each gradient is summed over what broadcasting stretched */

RULE(add) {
  for (int i = 0; i < 2; i++)
    if (ln_wants(b, node, i)) gin[i] = ln_bunbroadcast(b, gout[0], node->in[i]);
}

RULE(sub) {
  if (ln_wants(b, node, 0)) gin[0] = ln_bunbroadcast(b, gout[0], node->in[0]);
  if (ln_wants(b, node, 1)) gin[1] = ln_bunbroadcast(b, neg(b, gout[0]), node->in[1]);
}

RULE(mul) {
  for (int i = 0; i < 2; i++)
    if (ln_wants(b, node, i)) gin[i] = ln_bunbroadcast(b, mul(b, gout[0], node->in[1 - i]), node->in[i]);
}

RULE(div) {
  ln_value *x = node->in[0], *y = node->in[1];
  if (ln_wants(b, node, 0)) gin[0] = ln_bunbroadcast(b, divide(b, gout[0], y), x);
  if (ln_wants(b, node, 1)) {
    ln_value *g = divide(b, mul(b, gout[0], divide(b, x, y)), y);
    gin[1] = ln_bunbroadcast(b, neg(b, g), y);
  }
}

RULE(pow) {
  ln_value *x = node->in[0], *p = node->in[1], *y = node->out[0], *g = gout[0];
  ln_value *zero = ln_bconst(b, x, 0);
  if (ln_wants(b, node, 0)) { /* p x^(p-1), and 0 where p is 0, also at x = 0 */
    ln_value *slope = mul(b, p, ln_b2(b, LN_OP_pow, x, ln_b2(b, LN_OP_sub, p, ln_bconst(b, p, 1))));
    slope = choose(b, ln_b2(b, LN_OP_eq, p, zero), zero, slope);
    gin[0] = ln_bunbroadcast(b, mul(b, g, slope), x);
  }
  if (ln_wants(b, node, 1)) { /* y log x, and 0 where x is 0 and p is not negative */
    ln_value *flat = ln_b2(b, LN_OP_logical_and, ln_b2(b, LN_OP_eq, x, zero), ln_b2(b, LN_OP_ge, p, zero));
    ln_value *slope = choose(b, flat, zero, mul(b, y, ln_b1(b, LN_OP_log, x)));
    gin[1] = ln_bunbroadcast(b, mul(b, g, slope), p);
  }
}

/* Ties share the gradient in halves, as torch.maximum does. */
static void extremum(ln_builder *b, const ln_node *node, ln_value *g, ln_value **gin, ln_op wins) {
  ln_value *x = node->in[0], *y = node->in[1];
  ln_value *half = mul(b, g, ln_bconst(b, g, 0.5)), *zero = ln_bconst(b, g, 0);
  ln_value *tie = ln_b2(b, LN_OP_eq, x, y);
  for (int i = 0; i < 2; i++) {
    if (!ln_wants(b, node, i)) continue;
    ln_value *mine = ln_b2(b, wins, node->in[i], node->in[1 - i]);
    gin[i] = ln_bunbroadcast(b, choose(b, tie, half, choose(b, mine, g, zero)), node->in[i]);
  }
}

RULE(maximum) { extremum(b, node, gout[0], gin, LN_OP_gt); }
RULE(minimum) { extremum(b, node, gout[0], gin, LN_OP_lt); }

RULE(where) {
  ln_value *c = node->in[0], *zero = ln_bconst(b, gout[0], 0);
  if (ln_wants(b, node, 1)) gin[1] = ln_bunbroadcast(b, choose(b, c, gout[0], zero), node->in[1]);
  if (ln_wants(b, node, 2)) gin[2] = ln_bunbroadcast(b, choose(b, c, zero, gout[0]), node->in[2]);
}

/* -- one input */

RULE(neg) { (void)node; gin[0] = neg(b, gout[0]); }
RULE(abs) { gin[0] = mul(b, gout[0], ln_b1(b, LN_OP_sign, node->in[0])); }
RULE(exp) { gin[0] = mul(b, gout[0], node->out[0]); }
RULE(log) { gin[0] = divide(b, gout[0], node->in[0]); }

RULE(log1p) {
  ln_value *x = node->in[0];
  gin[0] = divide(b, gout[0], ln_b2(b, LN_OP_add, x, ln_bconst(b, x, 1)));
}

RULE(sqrt) {
  ln_value *y = node->out[0];
  gin[0] = divide(b, gout[0], mul(b, y, ln_bconst(b, y, 2)));
}

RULE(sin) { gin[0] = mul(b, gout[0], ln_b1(b, LN_OP_cos, node->in[0])); }
RULE(cos) { gin[0] = mul(b, gout[0], neg(b, ln_b1(b, LN_OP_sin, node->in[0]))); }

RULE(tanh) {
  ln_value *y = node->out[0];
  gin[0] = mul(b, gout[0], ln_b2(b, LN_OP_sub, ln_bconst(b, y, 1), mul(b, y, y)));
}

RULE(sigmoid) { gin[0] = ln_b2(b, LN_OP_sigmoid_grad, gout[0], node->out[0]); }
RULE(relu) { gin[0] = ln_b2(b, LN_OP_relu_grad, gout[0], node->out[0]); }

RULE(leaky_relu) {
  ln_value *in[2] = {gout[0], node->in[0]};
  gin[0] = ln_b(b, LN_OP_leaky_relu_grad, in, 2, &node->attrs, NULL, NULL);
}

RULE(clamp) {
  ln_value *x = node->in[0];
  ln_value *low = ln_b2(b, LN_OP_ge, x, ln_bconst(b, x, node->scalars.lo));
  ln_value *high = ln_b2(b, LN_OP_le, x, ln_bconst(b, x, node->scalars.hi));
  gin[0] = choose(b, ln_b2(b, LN_OP_logical_and, low, high), gout[0], ln_bconst(b, gout[0], 0));
}

RULE(cast) {
  ln_attrs attrs;
  ln_attrs_default(&attrs, NULL);
  attrs.dtype = node->in[0]->meta.dtype;
  if (attrs.dtype != gout[0]->meta.dtype) gin[0] = ln_b(b, LN_OP_cast, gout, 1, &attrs, NULL, NULL);
  else gin[0] = gout[0];
}

RULE(dropout) { /* linear in x with the same draw, so it is its own gradient */
  gin[0] = ln_b(b, LN_OP_dropout, gout, 1, &node->attrs, &node->scalars, NULL);
}
