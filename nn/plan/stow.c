/* stow.c: a rounded activation that is not needed for a while lies in memory as bf16 until then.
 *
 * Its values are bf16's already, so nothing changes but the bytes: what forward leaves for
 * backward takes half the memory.
 */
#include "draft.h"

enum { FAR = 12 }; /* steps */

/* The first use far behind the one before it, and that one; false when there is none. */
static bool find_gap(const ln_draft *d, int slot, int *before, int *after) {
  int last = d->slot[slot].producer;
  for (int p = last + 1; p <= d->slot[slot].last_use; p++) {
    for (int i = 0; i < d->step[p]->nin; i++) {
      if (d->step[p]->in[i] != slot) continue;
      if (p - last > FAR) {
        *before = last;
        *after = p;
        return true;
      }
      last = p;
    }
  }
  return false;
}

static void cast_between(ln_draft *d, int at, const ln_draft_step *like, int from, int to) {
  ln_draft_step *s = ln_draft_insert(d, at, like, LN_OP_cast, 1, 1);
  if (s == NULL) return;
  ln_attrs_default(&s->attrs, NULL);
  s->attrs.dtype = d->slot[to].meta.dtype;
  s->in[0] = from;
  s->out[0] = to;
}

static bool stow(ln_draft *d, int slot) {
  int before, after;
  const ln_draft_slot *s = &d->slot[slot];
  if (!s->low || s->live || s->producer < 0 || !find_gap(d, slot, &before, &after)) return false;
  ln_meta half = s->meta;
  half.dtype = LN_BF16;
  int stowed = ln_draft_new_slot(d, &half, LN_PLAIN), back = ln_draft_new_slot(d, &d->slot[slot].meta, LN_PLAIN);
  if (back < 0) return false;
  d->slot[back].low = true;
  const ln_draft_step *like = d->step[before];
  cast_between(d, after, like, stowed, back); /* behind first, so that `before` stays where it is */
  if (d->failed) return false;
  cast_between(d, before + 1, like, slot, stowed);
  for (int p = after + 2; p < d->nstep && !d->failed; p++)
    for (int i = 0; i < d->step[p]->nin; i++)
      if (d->step[p]->in[i] == slot) d->step[p]->in[i] = back;
  return true;
}

void ln_pass_stow(ln_draft *d) {
  for (int i = 0; i < d->nslot && !d->failed; i++) /* new slots at the end are looked at in their turn */
    if (stow(d, i)) ln_draft_index(d);
}
