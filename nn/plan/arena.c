/* arena.c: where in the arena each temporary lies.
 *
 * Greedy by size (Pisarchyk and Lee, 2020): largest block first, at the lowest offset
 * where it overlaps no placed block that is in use at the same time. Within a few
 * percent of the lower bound on U-Nets, and simple.
 */
#include <stdlib.h>

#include "../graph/internal.h"
#include "plan.h"

typedef struct block {
  size_t bytes, offset;
  int first, last;
  size_t *result; /* the slot's or the step's offset */
  int order;      /* ties keep the order of appearance, so that plans are reproducible */
} block;

static const size_t ALIGN = 64;

static int larger_first(const void *a, const void *b) {
  const block *x = a, *y = b;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
  return x->order - y->order;
}

static int lower_first(const void *a, const void *b) {
  const block *const *x = a, *const *y = b;
  return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

static int gather(ln_plan *plan, block *blocks) {
  int n = 0;
  for (int i = plan->nexternal; i < plan->nslot; i++) {
    ln_slot *s = &plan->slot[i];
    bool used = s->first >= 0; /* passes leave slots behind that no step fills any more */
    if (used && s->root == i && s->place == LN_ARENA && s->bytes > 0)
      blocks[n++] = (block){.bytes = s->bytes, .first = s->first, .last = s->last, .result = &s->offset};
  }
  for (int k = 0; k < plan->nstep; k++) {
    ln_step *step = &plan->step[k];
    if (step->call.workspace_bytes > 0)
      blocks[n++] = (block){.bytes = step->call.workspace_bytes, .first = k, .last = k, .result = &step->workspace};
  }
  for (int i = 0; i < n; i++) {
    blocks[i].bytes = (blocks[i].bytes + ALIGN - 1) & ~(ALIGN - 1);
    blocks[i].order = i;
  }
  return n;
}

/* The lowest gap among the placed blocks that live at the same time as b. */
static size_t lowest_gap(const block *b, block *blocks, int placed, const block **overlapping) {
  int n = 0;
  for (int i = 0; i < placed; i++)
    if (blocks[i].first <= b->last && b->first <= blocks[i].last) overlapping[n++] = &blocks[i];
  qsort(overlapping, (size_t)n, sizeof *overlapping, lower_first);
  size_t offset = 0;
  for (int i = 0; i < n; i++) {
    if (offset + b->bytes <= overlapping[i]->offset) break;
    size_t end = overlapping[i]->offset + overlapping[i]->bytes;
    if (end > offset) offset = end;
  }
  return offset;
}

ln_code ln_arena_layout(ln_ctx *ctx, ln_plan *plan) {
  size_t most = (size_t)(plan->nslot + plan->nstep);
  block *blocks = ln_alloc(&ctx->mem, most * sizeof *blocks);
  const block **scratch = ln_alloc(&ctx->mem, most * sizeof *scratch);
  ln_code code = blocks == NULL || scratch == NULL ? ln_no_memory(ctx, most * sizeof *blocks) : LN_OK;
  int n = code == LN_OK ? gather(plan, blocks) : 0;
  if (n > 0) qsort(blocks, (size_t)n, sizeof *blocks, larger_first);
  for (int i = 0; i < n; i++) {
    blocks[i].offset = lowest_gap(&blocks[i], blocks, i, scratch);
    *blocks[i].result = blocks[i].offset;
    size_t end = blocks[i].offset + blocks[i].bytes;
    if (end > plan->arena_bytes) plan->arena_bytes = end;
  }
  ln_free(&ctx->mem, blocks);
  ln_free(&ctx->mem, scratch);
  return code;
}
