/* backward.c: from a loss back along the tape.
 *
 * Nodes are numbered as recorded, so descending numbers are an order in which every
 * consumer comes before its producer. Nothing outside changes until every rule has
 * succeeded: gradients gather in value->sum and move to the cells' slots at the end.
 */
#include <stdlib.h>
#include <string.h>

#include "builder.h"
#include "internal.h"

typedef struct tape {
  ln_ctx *ctx;
  ln_node **node;   /* reachable nodes */
  int nnode, node_cap;
  ln_value **touched; /* values with a sum, each held once */
  int ntouched, touched_cap;
  const char *where, *layer; /* of the caller, restored at the end */
  bool grad_enabled, in_backward;
  ln_activity before;
} tape;

enum { MARK_SEEN = 1, MARK_TARGET = 2 };

static ln_code grow(ln_ctx *ctx, void *list, int count, int *cap) {
  if (ln_grow(&ctx->mem, list, sizeof(void *), count + 1, cap)) return LN_OK;
  return ln_no_memory(ctx, 2 * (size_t)*cap * sizeof(void *));
}

/* -- the reachable part of the tape */

static ln_code visit(tape *t, ln_value *v) {
  if (v == NULL || !v->requires_grad || v->node == NULL || v->node->mark != 0) return LN_OK;
  ln_code code = grow(t->ctx, &t->node, t->nnode, &t->node_cap);
  if (code != LN_OK) return code;
  v->node->mark = MARK_SEEN;
  t->node[t->nnode++] = v->node;
  return LN_OK;
}

static int later_first(const void *a, const void *b) {
  uint64_t x = (*(ln_node *const *)a)->number, y = (*(ln_node *const *)b)->number;
  return (x < y) - (x > y);
}

static ln_code check_node(ln_ctx *ctx, const ln_node *n) {
  if (n->spent || !n->on_tape) {
    ln_fail(&ctx->error, LN_EINVAL,
            "this part of the graph was already used by backward(); pass retain_graph to the first one");
    return ln_blame(ctx, n->op, n->where, n->layer);
  }
  for (int i = 0; n->cell_version != NULL && i < n->nin; i++)
    if (n->in[i] != NULL && n->in[i]->is_cell && ln_node_saves_input(n, i) &&
        n->cell_version[i] != n->in[i]->version) {
      ln_fail(&ctx->error, LN_EINVAL, "input %d was written after it was used, its gradient would be wrong", i + 1);
      return ln_blame(ctx, n->op, n->where, n->layer);
    }
  return LN_OK;
}

static ln_code collect(tape *t, ln_value *const *from, int nfrom) {
  ln_code code = LN_OK;
  for (int i = 0; i < nfrom && code == LN_OK; i++) code = visit(t, from[i]);
  for (int k = 0; k < t->nnode && code == LN_OK; k++) {
    ln_node *n = t->node[k];
    code = check_node(t->ctx, n);
    for (int i = 0; i < n->nin && code == LN_OK; i++) code = visit(t, n->in[i]);
  }
  if (code == LN_OK && t->nnode > 0) qsort(t->node, (size_t)t->nnode, sizeof(ln_node *), later_first);
  return code;
}

/* -- sums */

/* Adds g (borrowed) to v's sum. */
static ln_code add_to(tape *t, ln_value *v, ln_value *g) {
  ln_ctx *ctx = t->ctx;
  if (!ln_same_shape(&v->meta, &g->meta) || v->meta.dtype != g->meta.dtype)
    return ln_fail(&ctx->error, LN_EINTERNAL, "a gradient has another shape or dtype than its value");
  if (v->sum == NULL) {
    ln_code code = grow(ctx, &t->touched, t->ntouched, &t->touched_cap);
    if (code != LN_OK) return code;
    t->touched[t->ntouched++] = v;
    ln_value_retain(v);
    ln_value_hold(g);
    v->sum = g;
    return LN_OK;
  }
  ln_value *in[2] = {v->sum, g}, *total = NULL;
  ln_code code = ln_record(ctx, LN_OP_add, in, 2, NULL, NULL, &total);
  if (code != LN_OK) return code;
  ln_value_drop(ctx, v->sum);
  v->sum = total;
  return LN_OK;
}

static void clear_sum(ln_ctx *ctx, ln_value *v) {
  ln_value_drop(ctx, v->sum);
  v->sum = NULL;
}

/* -- one node */

static ln_code spread(tape *t, ln_node *n, ln_value **gin) {
  ln_code code = LN_OK;
  for (int i = 0; i < n->nin && code == LN_OK; i++)
    if (gin[i] != NULL && n->in[i] != NULL && n->in[i]->requires_grad) code = add_to(t, n->in[i], gin[i]);
  return code;
}

static ln_code through_op(tape *t, ln_node *n, ln_value *const *gout) {
  ln_value *gin[LN_MAX_INPUTS] = {NULL};
  ln_builder b;
  ln_builder_open(&b, t->ctx);
  ln_op_get(n->op)->grad(&b, n, gout, gin);
  ln_code code = b.code;
  if (code == LN_OK) code = spread(t, n, gin);
  ln_builder_close(&b);
  return code;
}

static ln_code through_host(tape *t, ln_node *n, ln_value *const *gout) {
  ln_ctx *ctx = t->ctx;
  ln_value *gin[LN_MAX_INPUTS] = {NULL};
  if (ctx->host_grad == NULL) return ln_fail(&ctx->error, LN_EINTERNAL, "no host to ask for a gradient");
  ln_code code = ctx->host_grad(ctx->host, n->host_id, gout, gin);
  for (int i = 0; i < n->nin && code == LN_OK; i++)
    if (gin[i] != NULL && n->in[i] != NULL && !ln_same_shape(&gin[i]->meta, &n->in[i]->meta))
      code = ln_fail(&ctx->error, LN_EINVAL, "backward returned a gradient %d of another shape than its input", i + 1);
  if (code == LN_OK) code = spread(t, n, gin);
  for (int i = 0; i < n->nin; i++) ln_value_drop(ctx, gin[i]);
  return code;
}

static ln_code through(tape *t, ln_node *n) {
  ln_ctx *ctx = t->ctx;
  ln_value *gout[LN_MAX_OUTPUTS] = {NULL};
  bool any = false;
  for (int o = 0; o < n->nout; o++)
    if (n->out[o] != NULL && (gout[o] = n->out[o]->sum) != NULL) any = true;
  if (!any) return LN_OK;
  ctx->where = n->where; /* the gradient's errors name the line and layer of the forward op */
  ctx->layer = n->layer;
  ln_code code = n->op == LN_OP_COUNT ? through_host(t, n, gout) : through_op(t, n, gout);
  for (int o = 0; o < n->nout; o++) /* an inner sum is no longer needed once it was passed on */
    if (n->out[o] != NULL && (n->out[o]->mark & MARK_TARGET) == 0) clear_sum(ctx, n->out[o]);
  return code;
}

/* -- the walk */

static void tape_open(tape *t, ln_ctx *ctx) {
  memset(t, 0, sizeof *t);
  t->ctx = ctx;
  t->where = ctx->where;
  t->layer = ctx->layer;
  t->grad_enabled = ctx->grad_enabled;
  t->in_backward = ctx->in_backward;
  t->before = ln_enter(ctx, LN_RECORDING);
  ctx->grad_enabled = false;
  ctx->in_backward = true;
  ctx->no_flush++;
}

static void tape_close(tape *t, bool spend) {
  ln_ctx *ctx = t->ctx;
  ctx->no_flush--;
  ctx->grad_enabled = t->grad_enabled;
  ctx->in_backward = t->in_backward;
  ctx->where = t->where;
  ctx->layer = t->layer;
  for (int k = 0; k < t->nnode; k++) t->node[k]->refs++; /* spending one may free another */
  for (int k = 0; k < t->nnode; k++) {
    t->node[k]->mark = 0;
    if (!spend) continue;
    ln_node_spend(ctx, t->node[k]);
    if (!t->node[k]->pending) ln_node_leave(ctx, t->node[k]);
  }
  for (int i = 0; i < t->ntouched; i++) {
    clear_sum(ctx, t->touched[i]);
    ln_value_release(ctx, t->touched[i]);
  }
  for (int k = 0; k < t->nnode; k++) ln_node_release(ctx, t->node[k]);
  ln_free(&ctx->mem, t->node);
  ln_free(&ctx->mem, t->touched);
  ln_leave(ctx, t->before);
}

static ln_code walk(tape *t, ln_value *const *outputs, ln_value *const *gout, int nout) {
  ln_code code = collect(t, outputs, nout);
  for (int i = 0; i < nout && code == LN_OK; i++) code = add_to(t, outputs[i], gout[i]);
  for (int k = 0; k < t->nnode && code == LN_OK; k++) code = through(t, t->node[k]);
  return code;
}

/* -- into the slots */

static ln_code new_slots(tape *t, ln_value **slot) {
  for (int i = 0; i < t->ntouched; i++) {
    ln_value *v = t->touched[i];
    if (!v->is_cell || v->sum == NULL) continue;
    if (v->grad == NULL) {
      ln_value_hold(slot[i] = v->sum);
      continue;
    }
    ln_value *in[2] = {v->grad, v->sum};
    ln_code code = ln_record(t->ctx, LN_OP_add, in, 2, NULL, NULL, &slot[i]);
    if (code != LN_OK) return code;
  }
  return LN_OK;
}

static ln_code fill_slots(tape *t) {
  ln_ctx *ctx = t->ctx;
  ln_value **slot = ln_calloc(&ctx->mem, (size_t)t->ntouched, sizeof *slot);
  if (slot == NULL) return ln_no_memory(ctx, (size_t)t->ntouched * sizeof *slot);
  ln_code code = new_slots(t, slot);
  for (int i = 0; i < t->ntouched; i++) {
    if (slot[i] == NULL) continue;
    if (code == LN_OK) {
      ln_value *old = t->touched[i]->grad;
      t->touched[i]->grad = slot[i];
      ln_value_drop(ctx, old);
    } else {
      ln_value_drop(ctx, slot[i]);
    }
  }
  ln_free(&ctx->mem, slot);
  return code;
}

static ln_code seed_gradient(ln_ctx *ctx, ln_value *loss, ln_value **ones) {
  if (!loss->requires_grad)
    return ln_fail(&ctx->error, LN_EINVAL,
                   "[backward] the loss does not depend on any parameter that requires a gradient");
  if (ln_numel(&loss->meta) != 1) {
    char shape[LN_SHAPE_TEXT];
    return ln_fail(&ctx->error, LN_EINVAL, "[backward] the loss must have one element, got shape %s",
                   ln_shape_text(&loss->meta, shape, sizeof shape));
  }
  ln_builder b;
  ln_builder_open(&b, ctx);
  *ones = ln_bfull_like(&b, loss, 1);
  if (*ones != NULL) ln_value_hold(*ones);
  ln_code code = b.code;
  ln_builder_close(&b);
  return code;
}

ln_code ln_backward(ln_ctx *ctx, ln_value *loss, bool retain) {
  ln_value *ones = NULL;
  if (loss->failure != NULL) return ln_value_failed(ctx, loss);
  ln_code code = seed_gradient(ctx, loss, &ones);
  if (code != LN_OK) return code;
  tape t;
  tape_open(&t, ctx);
  code = walk(&t, &loss, &ones, 1);
  if (code == LN_OK) code = ln_record(ctx, LN_OP_check_finite, &loss, 1, NULL, NULL, NULL);
  if (code == LN_OK) code = fill_slots(&t);
  ln_value_drop(ctx, ones);
  tape_close(&t, code == LN_OK && !retain);
  if (code == LN_OK && ctx->options.eager) code = ln_flush(ctx);
  return code;
}

ln_code ln_grad(ln_ctx *ctx, ln_value *const *outputs, ln_value *const *gout, int nout,
                ln_value *const *inputs, int nin, bool retain, ln_value **grads) {
  for (int i = 0; i < nout; i++)
    if (!ln_same_shape(&outputs[i]->meta, &gout[i]->meta))
      return ln_fail(&ctx->error, LN_EINVAL, "[grad] gradient %d has another shape than its output", i + 1);
  tape t;
  tape_open(&t, ctx);
  for (int i = 0; i < nin; i++) {
    inputs[i]->mark |= MARK_TARGET;
    grads[i] = NULL;
  }
  ln_code code = walk(&t, outputs, gout, nout);
  for (int i = 0; i < nin; i++) {
    inputs[i]->mark &= ~(unsigned)MARK_TARGET;
    if (code == LN_OK && (grads[i] = inputs[i]->sum) != NULL) ln_value_hold(grads[i]);
  }
  tape_close(&t, code == LN_OK && !retain);
  return code;
}
