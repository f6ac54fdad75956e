/* work.c: which of the pending nodes must run, and the key under which their plan is kept.
 *
 * One pass from the last node to the first decides. A node runs when it writes a cell or
 * guards, when a handle holds an output, when a live tape saved an output for its
 * gradient rule, or when a node that runs reads it.
 */
#include <string.h>

#include "../graph/internal.h"
#include "plan.h"

enum { ON_LIVE_TAPE = 8, SAVED = 16, READ = 32, OURS = 56 }; /* value->mark; the low bits are backward's */

static bool is_commit(const ln_node *n) { return (ln_op_get(n->op)->flags & LN_COMMIT) != 0; }
static bool is_guard(const ln_node *n) { return (ln_op_get(n->op)->flags & LN_GUARD) != 0; }

static void clear_marks(ln_ctx *ctx) {
  for (int k = 0; k < ctx->npending; k++) {
    ln_node *n = ctx->pending[k];
    for (int i = 0; i < n->nin; i++)
      if (n->in[i] != NULL) n->in[i]->mark &= ~(unsigned)OURS, n->in[i]->slot = -1;
    for (int o = 0; o < n->nout; o++)
      if (n->out[o] != NULL) n->out[o]->mark &= ~(unsigned)OURS;
  }
}

/* A tape is live when a handle can still lead a backward() to it. */
static void mark_tape(ln_node *n) {
  if (!n->on_tape || n->spent || n->out[0] == NULL) return;
  if (n->out[0]->handles == 0 && (n->out[0]->mark & ON_LIVE_TAPE) == 0) return;
  const ln_op_info *info = ln_op_info_get(n->op);
  for (int i = 0; i < n->nin; i++) {
    if (n->in[i] == NULL) continue;
    if (n->in[i]->requires_grad) n->in[i]->mark |= ON_LIVE_TAPE;
    if (ln_node_saves_input(n, i)) n->in[i]->mark |= SAVED;
  }
  for (int o = 0; o < n->nout; o++)
    if (n->out[o] != NULL && (info->saves_out >> o & 1) != 0) n->out[o]->mark |= SAVED;
}

static bool wanted_after(const ln_value *v) {
  return v != NULL && (v->handles > 0 || (v->mark & SAVED) != 0);
}

static bool must_run(const ln_node *n) {
  if (is_commit(n) || is_guard(n)) return true;
  for (int o = 0; o < n->nout; o++)
    if (n->out[o] != NULL && (wanted_after(n->out[o]) || (n->out[o]->mark & READ) != 0)) return true;
  return false;
}

static void mark(ln_ctx *ctx) {
  clear_marks(ctx);
  for (int k = ctx->npending - 1; k >= 0; k--) {
    ln_node *n = ctx->pending[k];
    mark_tape(n);
    n->slot = must_run(n) ? 0 : -1;
    for (int i = 0; n->slot == 0 && i < n->nin; i++)
      if (n->in[i] != NULL) n->in[i]->mark |= READ;
  }
}

/* -- the list, commits last, and the slots */

static void order(ln_ctx *ctx, ln_work *work) {
  for (int commits = 0; commits < 2; commits++)
    for (int k = 0; k < ctx->npending; k++) {
      ln_node *n = ctx->pending[k];
      if (n->slot < 0 || is_commit(n) != (commits == 1)) continue;
      unsigned live = 0;
      for (int o = 0; o < n->nout; o++) live |= (unsigned)wanted_after(n->out[o]) << o;
      work->live[work->nnode] = (unsigned char)live;
      work->node[work->nnode++] = n;
      work->ncommit += commits;
    }
}

static void number_slots(ln_work *work) {
  for (int k = 0; k < work->nnode; k++)
    for (int i = 0; i < work->node[k]->nin; i++) {
      ln_value *v = work->node[k]->in[i];
      if (v == NULL || v->buffer == NULL || v->slot >= 0) continue;
      v->slot = work->nexternal;
      work->external[work->nexternal++] = v;
    }
  work->nslot = work->nexternal;
  for (int k = 0; k < work->nnode; k++) {
    work->node[k]->slot = work->nslot;
    work->nslot += work->node[k]->nout;
  }
}

/* -- the key: everything that a plan depends on, as bytes */

typedef struct key_node {
  int32_t op, nin, nout;
  uint32_t live;
} key_node;

static size_t key_size(const ln_work *work) {
  size_t bytes = 3 * sizeof(int32_t) + (size_t)work->nexternal * (sizeof(ln_meta) + 1);
  for (int k = 0; k < work->nnode; k++)
    bytes += sizeof(key_node) + sizeof(ln_attrs) + (size_t)work->node[k]->nin * sizeof(int32_t);
  return bytes;
}

static unsigned char *put(unsigned char *at, const void *data, size_t bytes) {
  memcpy(at, data, bytes);
  return at + bytes;
}

static unsigned char *put_external(unsigned char *at, const ln_value *v) {
  ln_meta meta;
  memset(&meta, 0, sizeof meta); /* padding is compared too */
  meta.dtype = v->meta.dtype;
  meta.rank = v->meta.rank;
  for (int i = 0; i < meta.rank; i++) meta.dim[i] = v->meta.dim[i];
  at = put(at, &meta, sizeof meta);
  *at++ = v->is_cell;
  return at;
}

static unsigned char *put_node(unsigned char *at, const ln_node *n, unsigned live) {
  key_node head = {(int32_t)n->op, n->nin, n->nout, live};
  at = put(at, &head, sizeof head);
  at = put(at, &n->attrs, sizeof n->attrs);
  for (int i = 0; i < n->nin; i++) {
    int32_t slot = n->in[i] == NULL ? -1 : ln_work_slot(n->in[i]);
    at = put(at, &slot, sizeof slot);
  }
  return at;
}

static uint64_t hash_bytes(const unsigned char *data, size_t bytes) {
  uint64_t h = 0x9E3779B97F4A7C15u;
  for (size_t i = 0; i < bytes; i += 8) {
    uint64_t word = 0;
    memcpy(&word, data + i, bytes - i < 8 ? bytes - i : 8);
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    h ^= h >> 32;
  }
  return h;
}

static ln_code make_key(ln_ctx *ctx, ln_work *work) {
  work->key_bytes = key_size(work);
  if (ctx->key_cap < work->key_bytes) { /* as large as the longest step's; a plan keeps a copy */
    ln_free(&ctx->mem, ctx->key);
    ctx->key = ln_alloc(&ctx->mem, work->key_bytes);
    ctx->key_cap = ctx->key == NULL ? 0 : work->key_bytes;
    if (ctx->key == NULL) return ln_no_memory(ctx, work->key_bytes);
  }
  work->key = ctx->key;
  int32_t head[3] = {(int32_t)ctx->options.device, work->nexternal, (int32_t)ctx->passes_off};
  unsigned char *at = put(work->key, head, sizeof head);
  for (int e = 0; e < work->nexternal; e++) at = put_external(at, work->external[e]);
  for (int k = 0; k < work->nnode; k++) at = put_node(at, work->node[k], work->live[k]);
  work->hash = hash_bytes(work->key, work->key_bytes);
  return LN_OK;
}

ln_code ln_work_open(ln_ctx *ctx, ln_work *work) {
  memset(work, 0, sizeof *work);
  size_t inputs = 0, n = (size_t)ctx->npending;
  for (int k = 0; k < ctx->npending; k++) inputs += (size_t)ctx->pending[k]->nin;
  work->node = ln_alloc(&ctx->mem, n * sizeof *work->node);
  work->live = ln_alloc(&ctx->mem, n);
  work->external = ln_alloc(&ctx->mem, inputs * sizeof *work->external);
  if (work->node == NULL || work->live == NULL || work->external == NULL)
    return ln_no_memory(ctx, (n + inputs) * sizeof(void *));
  mark(ctx);
  order(ctx, work);
  number_slots(work);
  return make_key(ctx, work);
}

void ln_work_close(ln_ctx *ctx, ln_work *work) {
  ln_free(&ctx->mem, work->node);
  ln_free(&ctx->mem, work->live);
  ln_free(&ctx->mem, work->external);
}
