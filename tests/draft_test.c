/* draft_test.c: a draft's list of slots moves when it grows, also while a new slot is described by one of its own.
 * The many slots make the list a mapping of its own, so that reading where it was is an access to nothing. */
#include <stdio.h>

#include "../nn/graph/internal.h"
#include "../nn/plan/draft.h"

enum { SLOTS = 20000 };

int main(void) {
  ln_ctx ctx = {0};
  ln_draft draft = {.ctx = &ctx};
  ln_meta first = {.dtype = LN_F32, .rank = 2, .dim = {3, 5}};
  bool good = ln_draft_new_slot(&draft, &first, LN_PLAIN) == 0;
  for (int i = 1; i < SLOTS && good; i++) {
    good = ln_draft_new_slot(&draft, &draft.slot[i - 1].meta, LN_PLAIN) == i;
    const ln_meta *m = &draft.slot[i].meta;
    good = good && m->dtype == LN_F32 && m->rank == 2 && m->dim[0] == 3 && m->dim[1] == 5;
  }
  ln_free(&ctx.mem, draft.slot);
  good = good && atomic_load(&ctx.mem.live) == 0;
  printf("%d passed, %d failed\n", good, !good);
  return !good;
}
