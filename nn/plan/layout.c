/* layout.c: how every value lies in memory.
 *
 * The backend says how each step wants its arguments, given how they lie now; where that
 * differs a `reorder` step goes in before, and its result serves all later steps that want
 * the same. What a handle wants, and what lay there before, is plain.
 */
#include <string.h>

#include "../graph/internal.h"
#include "draft.h"

typedef struct pass {
  ln_draft *d;
  int *copy;  /* by slot: the same value in the other layout; -1 */
  int copies;
} pass;

static void describe(const ln_draft *d, const ln_draft_step *s, ln_call *call, ln_arg *args) {
  memset(call, 0, sizeof *call);
  call->op = s->op;
  call->nin = s->nin;
  call->nout = s->nout;
  call->in = args;
  call->out = args + s->nin;
  call->attrs = &s->attrs;
  for (int i = 0; i < s->nin + s->nout; i++) {
    memset(&args[i], 0, sizeof args[i]);
    if (s->slots[i] < 0) continue;
    const ln_draft_slot *slot = &d->slot[s->slots[i]];
    args[i].meta = slot->meta;
    args[i].numel = ln_numel(&slot->meta);
    args[i].layout = i < s->nin ? slot->layout : LN_PLAIN;
  }
}

/* The slot in the wanted layout; a reorder goes in before *at when there is none yet. */
static int converted(pass *p, int slot, ln_layout wanted, int *at) {
  ln_draft *d = p->d;
  if (slot < p->copies && p->copy[slot] >= 0) return p->copy[slot];
  int other = ln_draft_new_slot(d, &d->slot[slot].meta, wanted);
  ln_draft_step *s = ln_draft_insert(d, *at, d->step[*at], LN_OP_reorder, 1, 1);
  if (s == NULL) return slot;
  s->in[0] = slot;
  s->out[0] = other;
  if (slot < p->copies) p->copy[slot] = other;
  (*at)++;
  return other;
}

/* A value that a handle wants is plain: delivered through a copy where the step gives another layout. */
static void deliver_plain(ln_draft *d, int slot, int *at) {
  int plain = ln_draft_new_slot(d, &d->slot[slot].meta, LN_PLAIN);
  ln_draft_step *s = ln_draft_insert(d, *at + 1, d->step[*at], LN_OP_reorder, 1, 1);
  if (s == NULL) return;
  s->in[0] = slot;
  s->out[0] = plain;
  d->slot[slot].live = false;
  d->slot[slot].delivered = plain;
  d->slot[plain].live = true;
  (*at)++;
}

static void settle(pass *p, int *at, ln_arg *args) {
  ln_draft *d = p->d;
  ln_call call;
  describe(d, d->step[*at], &call, args);
  d->backend->layouts(d->self, &call);
  for (int i = 0; i < call.nin && !d->failed; i++) {
    int slot = d->step[*at]->in[i];
    if (slot < 0 || call.in[i].layout == d->slot[slot].layout) continue;
    int other = converted(p, slot, call.in[i].layout, at);
    d->step[*at]->in[i] = other;
  }
  ln_draft_step *s = d->step[*at];
  for (int o = 0; o < s->nout; o++)
    if (s->out[o] >= 0) d->slot[s->out[o]].layout = call.out[o].layout;
  for (int o = 0; o < call.nout && !d->failed; o++) {
    int slot = s->out[o];
    if (slot >= 0 && d->slot[slot].live && d->slot[slot].layout != LN_PLAIN) deliver_plain(d, slot, at);
  }
}

static int most_args(const ln_draft *d) {
  int most = 1;
  for (int p = 0; p < d->nstep; p++) {
    int n = d->step[p] == NULL ? 0 : d->step[p]->nin + d->step[p]->nout;
    if (n > most) most = n;
  }
  return most;
}

void ln_pass_layout(ln_draft *d) {
  pass p = {.d = d, .copies = d->nslot};
  ln_arg *args = ln_alloc(&d->ctx->mem, (size_t)most_args(d) * sizeof *args);
  p.copy = ln_alloc(&d->ctx->mem, (size_t)d->nslot * sizeof *p.copy);
  if (args == NULL || p.copy == NULL) d->failed = true;
  for (int i = 0; p.copy != NULL && i < d->nslot; i++) p.copy[i] = -1;
  for (int at = 0; at < d->nstep && !d->failed; at++) settle(&p, &at, args);
  ln_free(&d->ctx->mem, args);
  ln_free(&d->ctx->mem, p.copy);
}
