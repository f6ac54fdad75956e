/* draft.c: the list of steps and slots that passes rewrite (see draft.h). */
#include "draft.h"

#include <string.h>

#include "../graph/internal.h"

/* -- growing */

static bool grow(ln_draft *d, void *list, size_t size, int count, int *cap) {
  if (!ln_grow(&d->ctx->mem, list, size, count + 1, cap)) d->failed = true;
  return !d->failed;
}

int ln_draft_new_slot(ln_draft *d, const ln_meta *like, ln_layout layout) {
  const ln_meta meta = *like; /* which may be a slot's, and the list moves as it grows */
  if (d->failed || !grow(d, &d->slot, sizeof *d->slot, d->nslot, &d->slot_cap)) return -1;
  int id = d->nslot++;
  d->slot[id] = (ln_draft_slot){.meta = meta, .external = -1, .layout = layout, .whole = -1, .delivered = id, .producer = -1,
                                .last_use = -1};
  return id;
}

static ln_draft_step *new_step(ln_draft *d, ln_op op, int node, const ln_attrs *attrs, int nin, int nout) {
  size_t bytes = sizeof(ln_draft_step) + (size_t)(nin + nout) * sizeof(int);
  ln_draft_step *s = d->failed ? NULL : ln_calloc(&d->ctx->mem, 1, bytes);
  if (s == NULL) {
    d->failed = true;
    return NULL;
  }
  s->op = op;
  s->node = node;
  s->nin = nin;
  s->nout = nout;
  s->in = s->slots;
  s->out = s->slots + nin;
  for (int i = 0; i < nin + nout; i++) s->slots[i] = -1;
  memcpy(&s->attrs, attrs, sizeof s->attrs);
  return s;
}

ln_draft_step *ln_draft_replace(ln_draft *d, int at, ln_op op, int nin, const int *in, int nout, const int *out) {
  ln_draft_step *old = d->step[at], *s = new_step(d, op, old->node, &old->attrs, nin, nout);
  if (s == NULL) return NULL;
  memcpy(s->in, in, (size_t)nin * sizeof *in);
  memcpy(s->out, out, (size_t)nout * sizeof *out);
  ln_free(&d->ctx->mem, old);
  d->step[at] = s;
  return s;
}

ln_draft_step *ln_draft_insert(ln_draft *d, int at, const ln_draft_step *like, ln_op op, int nin, int nout) {
  if (d->failed || !grow(d, &d->step, sizeof(ln_draft_step *), d->nstep, &d->step_cap)) return NULL;
  ln_draft_step *s = new_step(d, op, like->node, &like->attrs, nin, nout);
  if (s == NULL) return NULL;
  memmove(d->step + at + 1, d->step + at, (size_t)(d->nstep - at) * sizeof *d->step);
  d->step[at] = s;
  d->nstep++;
  return s;
}

void ln_draft_remove(ln_draft *d, int at) {
  ln_free(&d->ctx->mem, d->step[at]);
  d->step[at] = NULL;
}

/* -- looking around */

void ln_draft_index(ln_draft *d) {
  for (int i = 0; i < d->nslot; i++) d->slot[i].producer = d->slot[i].last_use = -1, d->slot[i].nuse = 0;
  for (int p = 0; p < d->nstep; p++) {
    const ln_draft_step *s = d->step[p];
    if (s == NULL) continue;
    for (int i = 0; i < s->nin; i++)
      if (s->in[i] >= 0) d->slot[s->in[i]].nuse++, d->slot[s->in[i]].last_use = p;
    for (int o = 0; o < s->nout; o++)
      if (s->out[o] >= 0) d->slot[s->out[o]].producer = p;
  }
}

int ln_draft_only_user(const ln_draft *d, int slot) {
  if (slot < 0 || d->slot[slot].live || d->slot[slot].nuse != 1) return -1;
  return d->slot[slot].last_use;
}

bool ln_draft_is_op(const ln_draft *d, int at, ln_op op) { return at >= 0 && d->step[at] != NULL && d->step[at]->op == op; }

int ln_draft_find_user(const ln_draft *d, int slot, ln_op op, int input, int from) {
  for (int p = from < 0 ? 0 : from; p <= d->slot[slot].last_use; p++)
    if (ln_draft_is_op(d, p, op) && d->step[p]->in[input] == slot) return p;
  return -1;
}

/* -- from the recorded nodes */

static void copy_externals(ln_draft *d) {
  for (int e = 0; e < d->work->nexternal; e++) {
    const ln_value *v = d->work->external[e];
    int id = ln_draft_new_slot(d, &v->meta, LN_PLAIN);
    if (id < 0) return;
    d->slot[id].external = e;
    d->slot[id].is_cell = v->is_cell;
  }
}

static void copy_node(ln_draft *d, int k) {
  const ln_node *n = d->work->node[k];
  for (int o = 0; o < n->nout; o++) {
    int id = ln_draft_new_slot(d, &n->out_meta[o], LN_PLAIN); /* n->slot + o, as the work numbered them */
    if (id >= 0) d->slot[id].live = (d->work->live[k] >> o & 1) != 0;
  }
  if (d->failed || !grow(d, &d->step, sizeof(ln_draft_step *), d->nstep, &d->step_cap)) return;
  ln_draft_step *s = new_step(d, n->op, k, &n->attrs, n->nin, n->nout);
  if (s == NULL) return;
  for (int i = 0; i < n->nin; i++)
    if (n->in[i] != NULL) s->in[i] = ln_work_slot(n->in[i]);
  for (int o = 0; o < n->nout; o++) s->out[o] = n->slot + o;
  d->step[d->nstep++] = s;
}

ln_code ln_draft_open(ln_ctx *ctx, const ln_work *work, ln_draft *d) {
  memset(d, 0, sizeof *d);
  d->ctx = ctx;
  d->work = work;
  d->backend = ctx->backend[ctx->options.device];
  d->self = ctx->self[ctx->options.device];
  copy_externals(d);
  for (int k = 0; k < work->nnode && !d->failed; k++) copy_node(d, k);
  return d->failed ? ln_no_memory(ctx, (size_t)d->nstep * sizeof(ln_draft_step)) : LN_OK;
}

void ln_draft_close(ln_draft *d) {
  for (int p = 0; p < d->nstep; p++) ln_free(&d->ctx->mem, d->step[p]);
  ln_free(&d->ctx->mem, d->step);
  ln_free(&d->ctx->mem, d->slot);
}
