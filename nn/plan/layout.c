/* layout.c: the form of every value: how it lies in memory, and whether a rounded one (precision.c) is stored as bf16.
 *
 * The backend says how each step wants its arguments, given how they lie now; where that
 * differs a `reorder` step goes in before, and its result serves all later steps that want
 * the same. What a handle wants, and what lay there before, is plain and of its own dtype.
 */
#include <string.h>

#include "../graph/internal.h"
#include "draft.h"

/* Bits of a form's index. */
enum { BLOCKED = 1, AS_BF16 = 2, FORMS = 4 };

typedef struct pass {
  ln_draft *d;
  int (*copy)[FORMS];  /* by slot: the same value in another form; -1 */
  int copies;
} pass;

static int form_of(ln_layout layout, ln_dtype dtype) {
  return (layout == LN_BLOCKED ? BLOCKED : 0) | (dtype == LN_BF16 ? AS_BF16 : 0);
}

static ln_meta as(ln_meta meta, ln_dtype dtype) {
  meta.dtype = dtype;
  return meta;
}

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
    args[i].low = slot->low;
    if (slot->low) args[i].meta.dtype = LN_F32; /* however it is stored now */
  }
}

/* The slot in the wanted form; a reorder goes in before *at when there is none yet. */
static int converted(pass *p, int slot, const ln_arg *wanted, int *at) {
  ln_draft *d = p->d;
  const int form = form_of(wanted->layout, wanted->meta.dtype);
  if (slot < p->copies && p->copy[slot][form] >= 0) return p->copy[slot][form];
  ln_meta meta = as(d->slot[slot].meta, wanted->meta.dtype);
  int other = ln_draft_new_slot(d, &meta, wanted->layout);
  ln_draft_step *s = ln_draft_insert(d, *at, d->step[*at], LN_OP_reorder, 1, 1);
  if (s == NULL) return slot;
  d->slot[other].low = d->slot[slot].low;
  s->in[0] = slot;
  s->out[0] = other;
  if (slot < p->copies) p->copy[slot][form] = other;
  (*at)++;
  return other;
}

static bool is_plain(const ln_draft_slot *slot) { return slot->layout == LN_PLAIN && !(slot->low && slot->meta.dtype == LN_BF16); }

/* A value that a handle wants is plain: delivered through a copy where the step gives another form. */
static void deliver_plain(ln_draft *d, int slot, int *at) {
  ln_meta meta = as(d->slot[slot].meta, d->slot[slot].low ? LN_F32 : d->slot[slot].meta.dtype);
  int plain = ln_draft_new_slot(d, &meta, LN_PLAIN);
  ln_draft_step *s = ln_draft_insert(d, *at + 1, d->step[*at], LN_OP_reorder, 1, 1);
  if (s == NULL) return;
  s->in[0] = slot;
  s->out[0] = plain;
  d->slot[slot].live = false;
  d->slot[slot].delivered = plain;
  d->slot[plain].live = true;
  d->slot[plain].low = d->slot[slot].low;
  (*at)++;
}

static void settle(pass *p, int *at, ln_arg *args) {
  ln_draft *d = p->d;
  ln_call call;
  describe(d, d->step[*at], &call, args);
  d->backend->layouts(d->self, &call);
  for (int i = 0; i < call.nin && !d->failed; i++) {
    int slot = d->step[*at]->in[i];
    if (slot < 0 || (call.in[i].layout == d->slot[slot].layout && call.in[i].meta.dtype == d->slot[slot].meta.dtype)) continue;
    int other = converted(p, slot, &call.in[i], at);
    d->step[*at]->in[i] = other;
  }
  ln_draft_step *s = d->step[*at];
  for (int o = 0; o < s->nout; o++) {
    if (s->out[o] < 0) continue;
    d->slot[s->out[o]].layout = call.out[o].layout;
    d->slot[s->out[o]].meta.dtype = call.out[o].meta.dtype;
  }
  for (int o = 0; o < call.nout && !d->failed; o++) {
    int slot = s->out[o];
    if (slot >= 0 && d->slot[slot].live && !is_plain(&d->slot[slot])) deliver_plain(d, slot, at);
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
  for (int i = 0; p.copy != NULL && i < d->nslot * FORMS; i++) p.copy[i / FORMS][i % FORMS] = -1;
  for (int at = 0; at < d->nstep && !d->failed; at++) settle(&p, &at, args);
  ln_free(&d->ctx->mem, args);
  ln_free(&d->ctx->mem, p.copy);
}
