/* value.c: lifetimes of values and nodes.
 *
 * Only output 0 of an op carries a gradient, so only output 0 holds its node. A node on
 * the tape in turn holds those of its further outputs that the gradient rule reads
 * (pooling's indices, a norm's statistics), which the script may never have seen.
 *
 * Freeing a value may free its node, that node's inputs, and so on along a tape of any
 * length; dead values therefore queue in ctx->garbage and one loop frees them.
 */
#include "internal.h"

#include <string.h>

/* -- spare blocks, cleared when they are taken */

enum { MOST_SPARES = 1024, SPARE_INPUTS = 6 };

static void *spare_take(ln_ctx *ctx, ln_spares *spares, size_t bytes) {
  void *block = spares->first;
  if (block == NULL) return ln_calloc(&ctx->mem, 1, bytes);
  if (atomic_load(&ctx->mem.fail_at) != 0) { /* fault injection counts these too */
    void *probe = ln_alloc(&ctx->mem, bytes);
    if (probe == NULL) return NULL;
    ln_free(&ctx->mem, probe);
  }
  memcpy(&spares->first, block, sizeof spares->first);
  spares->count--;
  memset(block, 0, bytes);
  return block;
}

static void spare_give(ln_ctx *ctx, ln_spares *spares, void *block) {
  if (spares->count == MOST_SPARES) {
    ln_free(&ctx->mem, block);
    return;
  }
  memcpy(block, &spares->first, sizeof spares->first);
  spares->first = block;
  spares->count++;
}

static void spares_empty(ln_ctx *ctx, ln_spares *spares) {
  for (void *block = spares->first; block != NULL; block = spares->first) {
    memcpy(&spares->first, block, sizeof spares->first);
    ln_free(&ctx->mem, block);
  }
  spares->count = 0;
}

void ln_spares_free(ln_ctx *ctx) {
  spares_empty(ctx, &ctx->spare_values);
  spares_empty(ctx, &ctx->spare_nodes);
}

/* -- values */

ln_value *ln_value_alloc(ln_ctx *ctx, const ln_meta *meta) {
  ln_value *v = spare_take(ctx, &ctx->spare_values, sizeof *v);
  if (v == NULL) return NULL;
  v->refs = 1;
  v->meta = *meta;
  v->device = ctx->options.device;
  v->slot = -1;
  return v;
}

static ln_code check_meta(ln_ctx *ctx, const ln_meta *meta) {
  char shape[LN_SHAPE_TEXT];
  if (meta->rank < 0 || meta->rank > LN_MAX_RANK)
    return ln_fail(&ctx->error, LN_EINVAL, "rank %d, at most %d is possible", meta->rank, LN_MAX_RANK);
  for (int i = 0; i < meta->rank; i++)
    if (meta->dim[i] < 0)
      return ln_fail(&ctx->error, LN_EINVAL, "negative size in shape %s",
                     ln_shape_text(meta, shape, sizeof shape));
  if (ln_nbytes(meta) > (size_t)1 << 62)
    return ln_fail(&ctx->error, LN_EINVAL, "shape %s is too large",
                   ln_shape_text(meta, shape, sizeof shape));
  return LN_OK;
}

ln_code ln_value_new(ln_ctx *ctx, const ln_meta *meta, ln_value **out) {
  ln_code code = check_meta(ctx, meta);
  if (code != LN_OK) return code;
  ln_value *v = ln_value_alloc(ctx, meta);
  if (v == NULL) return ln_no_memory(ctx, sizeof *v);
  code = ln_buffer_new(ctx, v->device, ln_nbytes(meta), &v->buffer);
  if (code != LN_OK) {
    ln_value_release(ctx, v);
    return code;
  }
  v->handles = 1;
  *out = v;
  return LN_OK;
}

ln_code ln_value_from(ln_ctx *ctx, const ln_meta *meta, const void *host, ln_value **out) {
  ln_code code = ln_value_new(ctx, meta, out);
  if (code != LN_OK) return code;
  ln_value *v = *out;
  code = ctx->backend[v->device]->upload(ctx->self[v->device], v->buffer->data, host, ln_nbytes(meta),
                                         &ctx->error);
  if (code == LN_OK) return LN_OK;
  ln_value_drop(ctx, v);
  *out = NULL;
  return code;
}

ln_code ln_cell_new(ln_ctx *ctx, const ln_meta *meta, bool requires_grad, ln_value **out) {
  if (requires_grad && !ln_is_float(meta->dtype))
    return ln_fail(&ctx->error, LN_EINVAL, "only float tensors can require a gradient, got %s",
                   ln_dtype_name(meta->dtype));
  size_t bytes = ln_nbytes(meta);
  ln_code code = ln_value_new(ctx, meta, out);
  if (code != LN_OK) return code;
  (*out)->is_cell = true;
  (*out)->requires_grad = requires_grad;
  (*out)->version = ++ctx->last_version;
  memset((*out)->buffer->data, 0, bytes);
  return LN_OK;
}

void ln_value_retain(ln_value *v) { v->refs++; }

void ln_value_hold(ln_value *v) {
  v->refs++;
  v->handles++;
}

void ln_value_settle(ln_ctx *ctx, ln_value *v) {
  if (v->handles > 0 || v->saved > 0 || v->uses > 0 || v->is_cell) return;
  ln_buffer_release(ctx, v->buffer);
  v->buffer = NULL;
}

static void failure_release(ln_ctx *ctx, ln_failure *f) {
  if (f != NULL && --f->refs == 0) ln_free(&ctx->mem, f);
}

static bool holds_node(const ln_value *v) {
  return v->node != NULL && (v->output == 0 || v->node->op == LN_OP_COUNT);
}

static void value_free(ln_ctx *ctx, ln_value *v) {
  if (v->node != NULL) {
    v->node->out[v->output] = NULL;
    if (holds_node(v)) ln_node_release(ctx, v->node);
  }
  ln_buffer_release(ctx, v->buffer);
  ln_value_drop(ctx, v->grad);
  failure_release(ctx, v->failure);
  spare_give(ctx, &ctx->spare_values, v);
}

void ln_value_release(ln_ctx *ctx, ln_value *v) {
  if (v == NULL || --v->refs > 0) return;
  v->next = ctx->garbage;
  ctx->garbage = v;
  if (ctx->sweeping) return; /* the loop below, further down the stack, takes it */
  ctx->sweeping = true;
  while ((v = ctx->garbage) != NULL) {
    ctx->garbage = v->next;
    value_free(ctx, v);
  }
  ctx->sweeping = false;
}

void ln_value_drop(ln_ctx *ctx, ln_value *v) {
  if (v == NULL) return;
  if (--v->handles == 0) ln_value_settle(ctx, v);
  ln_value_release(ctx, v);
}

/* -- nodes */

ln_node *ln_node_alloc(ln_ctx *ctx, int nin) {
  bool usual = nin <= SPARE_INPUTS; /* of one size, to be used again */
  size_t bytes = sizeof(ln_node) + (size_t)(usual ? SPARE_INPUTS : nin) * sizeof(ln_value *);
  ln_node *node = usual ? spare_take(ctx, &ctx->spare_nodes, bytes) : ln_calloc(&ctx->mem, 1, bytes);
  if (node == NULL) return NULL;
  node->in = (ln_value **)(void *)(node + 1);
  node->nin = nin;
  node->refs = 1;
  node->where = ctx->where;
  node->layer = ctx->layer;
  node->backward = ctx->in_backward;
  node->number = ctx->next_number++;
  return node;
}

bool ln_node_saves_input(const ln_node *node, int i) {
  if (node->op == LN_OP_COUNT) return false;
  const ln_op_info *info = ln_op_info_get(node->op);
  return (info->saves_in >> (info->variadic ? 0 : i) & 1) != 0;
}

static bool saves_output(const ln_node *node, int o) {
  return node->op != LN_OP_COUNT && (ln_op_info_get(node->op)->saves_out >> o & 1) != 0;
}

ln_code ln_node_save(ln_ctx *ctx, ln_node *node) {
  for (int i = 0; i < node->nin; i++) {
    ln_value *v = node->in[i];
    if (v == NULL || !v->is_cell || !ln_node_saves_input(node, i) || node->cell_version != NULL) continue;
    node->cell_version = ln_calloc(&ctx->mem, (size_t)node->nin, sizeof *node->cell_version);
    if (node->cell_version == NULL) return ln_no_memory(ctx, (size_t)node->nin * 8);
  }
  node->on_tape = true;
  for (int i = 0; i < node->nin; i++) {
    ln_value *v = node->in[i];
    if (v == NULL || !ln_node_saves_input(node, i)) continue;
    v->saved++;
    if (v->is_cell) node->cell_version[i] = v->version;
  }
  for (int o = 0; o < node->nout; o++) {
    if (node->out[o] == NULL || !saves_output(node, o)) continue;
    node->out[o]->saved++;
    if (o > 0) ln_value_retain(node->out[o]);
  }
  return LN_OK;
}

void ln_node_spend(ln_ctx *ctx, ln_node *node) {
  if (!node->on_tape || node->spent) return;
  node->spent = true;
  for (int i = 0; i < node->nin; i++)
    if (node->in[i] != NULL && ln_node_saves_input(node, i)) {
      node->in[i]->saved--;
      ln_value_settle(ctx, node->in[i]);
    }
  for (int o = 0; o < node->nout; o++) {
    ln_value *v = node->out[o];
    if (v == NULL || !saves_output(node, o)) continue;
    v->saved--;
    ln_value_settle(ctx, v);
    if (o > 0) ln_value_release(ctx, v);
  }
}

void ln_node_release(ln_ctx *ctx, ln_node *node) {
  if (--node->refs > 0) return;
  ln_node_spend(ctx, node);
  for (int o = 0; o < node->nout; o++)
    if (node->out[o] != NULL) node->out[o]->node = NULL;
  if (node->op == LN_OP_COUNT && ctx->host_forget != NULL) ctx->host_forget(ctx->host, node->host_id);
  for (int i = 0; i < node->nin; i++) ln_value_release(ctx, node->in[i]);
  ln_free(&ctx->mem, node->cell_version);
  if (node->nin <= SPARE_INPUTS) spare_give(ctx, &ctx->spare_nodes, node);
  else ln_free(&ctx->mem, node);
}

void ln_node_leave(ln_ctx *ctx, ln_node *node) {
  if (node->on_tape && !node->spent) return;
  for (int o = 0; o < node->nout; o++) {
    ln_value *v = node->out[o];
    if (v == NULL) continue;
    bool held = holds_node(v);
    node->out[o] = NULL;
    v->node = NULL;
    if (held) ln_node_release(ctx, node); /* the caller holds another reference */
  }
}
