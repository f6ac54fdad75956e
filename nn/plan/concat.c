/* concat.c: concatenation along the channels without copies, and its gradient too.
 *
 * In the blocked layout a range of channels is contiguous within an image, so a part of a
 * concat is memory of the whole with a larger step from image to image, which every blocked
 * kernel can write and read (ln_arg.image). The parts are written in place by whoever
 * computes them; the cat step then finds its inputs where they belong. A slice along the
 * channels is read where it lies.
 */
#include "draft.h"

static bool is_alias(const ln_draft *d, int at) { return (ln_op_get(d->step[at]->op)->flags & LN_ALIAS) != 0; }

/* May the slot's memory be a part of another's? It must be computed here, by a kernel. */
static bool can_be_part(const ln_draft *d, int slot) {
  const ln_draft_slot *s = &d->slot[slot];
  return s->external < 0 && !s->live && s->layout == LN_BLOCKED && s->whole < 0 && s->producer >= 0 &&
         !is_alias(d, s->producer);
}

static bool blocked_channels(const ln_draft *d, const ln_draft_step *s) {
  return s->attrs.dim == 1 && d->slot[s->out[0]].layout == LN_BLOCKED;
}

static bool twice(const ln_draft_step *s, int i) {
  for (int k = 0; k < i; k++)
    if (s->in[k] == s->in[i]) return true;
  return false;
}

static void join(ln_draft *d, ln_draft_step *cat) {
  if (!blocked_channels(d, cat)) return;
  int64_t channel = 0;
  bool all = true;
  for (int i = 0; i < cat->nin; i++) {
    int part = cat->in[i];
    if (can_be_part(d, part) && !twice(cat, i)) {
      d->slot[part].whole = cat->out[0];
      d->slot[part].channel = channel;
    } else {
      all = false; /* the step copies this one */
    }
    channel += d->slot[part].meta.dim[1];
  }
  cat->elided = all;
}

/* The output is a view, unless a handle wants it or it comes from outside. */
static void view(ln_draft *d, ln_draft_step *slice) {
  if (!blocked_channels(d, slice) || slice->attrs.step != 1) return;
  const ln_draft_slot *whole = &d->slot[slice->in[0]];
  ln_draft_slot *part = &d->slot[slice->out[0]];
  if (part->live || whole->external >= 0 || whole->layout != LN_BLOCKED || whole->live) return;
  part->whole = slice->in[0];
  part->channel = slice->attrs.start;
  slice->elided = true;
}

void ln_pass_concat(ln_draft *d) {
  for (int p = 0; p < d->nstep; p++) {
    if (ln_draft_is_op(d, p, LN_OP_cat)) join(d, d->step[p]);
    if (ln_draft_is_op(d, p, LN_OP_slice)) view(d, d->step[p]);
  }
}
