/* profile.c: books time, work and memory while plans run (see profile.h).
 *
 * A profile never makes a run fail: where it gets no memory it counts what it lost.
 */
#include "profile.h"

#include <string.h>
#include <time.h>

#include "../graph/internal.h"

static int64_t clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

const char *ln_activity_name(ln_activity activity) {
  static const char *const names[LN_ACTIVITY_COUNT] = {"script", "record", "plan", "build", "bind", "collect", "load", "step", "profile"};
  return names[activity];
}

const char *ln_phase_name(ln_phase phase) {
  static const char *const names[LN_PHASE_COUNT] = {"forward", "backward", "update"};
  return names[phase];
}

/* Room for one more item; the block may move. */
static bool grow(ln_profile *p, void *list, size_t size, int needed, int *cap) {
  int before = *cap;
  if (!ln_grow(p->mem, list, size, needed, cap)) return false;
  p->own += (size_t)(*cap - before) * size;
  return true;
}

/* -- activities */

static void keep_event(ln_profile *p, int64_t start, int64_t ns, int row, size_t memory) {
  bool room = p->nevent < LN_PROFILE_EVENTS && grow(p, &p->event, sizeof *p->event, p->nevent + 1, &p->event_cap);
  if (room) p->event[p->nevent++] = (ln_profile_event){start - p->started, ns, row, memory};
  else p->lost++;
}

/* Each op that is recorded would be an event; as a sum they say enough. */
static bool is_pause(ln_activity a) {
  return a == LN_PLANNING || a == LN_BUILDING || a == LN_COLLECTING || a == LN_LOADING;
}

/* Returns what the time up to now went to, and books it. */
static int64_t book(ln_profile *p, ln_activity next) {
  int64_t now = clock_ns(), ns = now - p->since;
  p->total[p->now] += ns;
  p->since = now;
  p->now = next;
  return ns;
}

ln_activity ln_profile_switch(ln_profile *p, ln_activity next) {
  ln_activity before = p->now;
  int64_t start = p->since, ns = book(p, next);
  if (is_pause(before)) keep_event(p, start, ns, -1 - (int)before, 0);
  return before;
}

/* -- rows */

static bool same_row(const ln_profile_row *row, ln_op op, ln_phase phase, const char *layer, const char *where) {
  return row->op == op && row->phase == phase && row->layer == layer && (layer[0] != '\0' || row->where == where);
}

static size_t row_hash(ln_op op, ln_phase phase, const char *layer, const char *where) {
  uint64_t h = (uint64_t)(uintptr_t)(layer[0] != '\0' ? layer : where);
  h = (h ^ (uint64_t)op << 8 ^ (uint64_t)phase) * 0xff51afd7ed558ccdu;
  return (size_t)(h >> 32);
}

static int *row_place(const ln_profile *p, int *index, size_t cap, const ln_profile_row *row) {
  size_t i = row_hash(row->op, row->phase, row->layer, row->where) & (cap - 1);
  while (index[i] >= 0 && !same_row(&p->row[index[i]], row->op, row->phase, row->layer, row->where)) i = (i + 1) & (cap - 1);
  return &index[i];
}

static bool grow_rows(ln_profile *p) {
  if (p->nrow < p->row_cap) return true;
  if (!grow(p, &p->row, sizeof *p->row, p->nrow + 1, &p->row_cap)) return false;
  size_t cap = 2 * (size_t)p->row_cap;
  int *index = ln_alloc(p->mem, cap * sizeof *index);
  if (index == NULL) {
    p->row_cap = p->nrow; /* the index still serves those that are there */
    return false;
  }
  memset(index, -1, cap * sizeof *index);
  for (int r = 0; r < p->nrow; r++) *row_place(p, index, cap, &p->row[r]) = r;
  p->own += (p->index == NULL ? cap : cap / 2) * sizeof *index;
  ln_free(p->mem, p->index);
  p->index = index;
  return true;
}

static ln_phase phase_of(const ln_node *n) {
  if ((ln_op_get(n->op)->flags & LN_COMMIT) != 0) return LN_UPDATE;
  return n->backward ? LN_BACKWARD : LN_FORWARD;
}

/* The row of an op of that node, made if need be; -1 when memory ran out. */
static int row_of(ln_profile *p, ln_op op, const ln_node *n) {
  ln_profile_row key = {.op = op, .phase = phase_of(n), .layer = n->layer, .where = n->where};
  if (!grow_rows(p)) {
    p->incomplete = true;
    return -1;
  }
  int *place = row_place(p, p->index, 2 * (size_t)p->row_cap, &key);
  if (*place < 0) {
    *place = p->nrow;
    p->row[p->nrow++] = key;
  }
  return *place;
}

/* Of a group the first step stands for all. */
static void book_step(ln_profile *p, const ln_plan *plan, int s, const ln_node *n, int64_t start, int64_t ns, size_t memory) {
  int r = row_of(p, plan->step[s].call.op, n);
  if (r < 0) return;
  ln_profile_row *row = &p->row[r];
  row->calls++;
  row->ns += ns;
  for (int i = 0; i < plan->step[s].group; i++) {
    double flops, bytes;
    ln_cost(plan->calls[s + i], &flops, &bytes);
    row->flops += flops;
    row->bytes += bytes;
  }
  keep_event(p, start, ns, r, memory);
}

void ln_profile_step(ln_ctx *ctx, ln_activity before, const ln_plan *plan, const ln_work *work, int s) {
  ln_profile *p = ctx->profile;
  int64_t start = p->since, ns = book(p, LN_PROFILING);
  book_step(p, plan, s, work->node[plan->step[s].node], start, ns, s < p->memory_cap ? p->outside + p->memory[s] : 0);
  book(p, before);
}

/* -- memory */

/* Bytes of temporaries and workspace at each step: sums of what begins less what has ended. */
static bool count_temporaries(ln_profile *p, const ln_plan *plan) {
  if (!grow(p, &p->memory, sizeof *p->memory, plan->nstep + 1, &p->memory_cap)) return false;
  memset(p->memory, 0, (size_t)(plan->nstep + 1) * sizeof *p->memory);
  for (int i = plan->nexternal; i < plan->nslot; i++) {
    const ln_slot *slot = &plan->slot[i];
    if (slot->root != i || slot->place != LN_ARENA || slot->first < 0) continue;
    p->memory[slot->first] += slot->bytes;
    p->memory[slot->last + 1] -= slot->bytes; /* wraps around, and back in the sum */
  }
  for (int s = 1; s <= plan->nstep; s++) p->memory[s] += p->memory[s - 1];
  for (int s = 0; s < plan->nstep; s++) p->memory[s] += plan->step[s].call.workspace_bytes;
  return true;
}

static size_t pool_bytes(const ln_ctx *ctx) {
  size_t bytes = 0;
  for (const ln_buffer *b = ctx->pool; b != NULL; b = b->next) bytes += b->bytes;
  return bytes;
}

/* Keeps the value if it is one of the largest so far, in descending order. */
static void rank_value(ln_profile_peak *k, ln_profile_value v) {
  int at = k->ntop;
  while (at > 0 && k->top[at - 1].bytes < v.bytes) at--;
  if (at == LN_PROFILE_TOP) return;
  if (k->ntop < LN_PROFILE_TOP) k->ntop++;
  memmove(&k->top[at + 1], &k->top[at], (size_t)(k->ntop - 1 - at) * sizeof v);
  k->top[at] = v;
}

static void rank_values(ln_profile *p, const ln_plan *plan, const ln_work *work) {
  ln_profile_peak *k = &p->peak;
  for (int s = 0; s < plan->nstep; s++)
    for (int o = 0; o < plan->step[s].call.nout; o++) {
      int id = plan->step[s].out[o];
      if (id < 0 || plan->slot[id].root != id) continue;
      const ln_slot *slot = &plan->slot[id];
      bool alive = slot->place == LN_LIVE || (slot->place == LN_ARENA && slot->first <= k->at && k->at <= slot->last);
      if (alive) rank_value(k, (ln_profile_value){row_of(p, plan->step[s].call.op, work->node[plan->step[s].node]), slot->meta, slot->bytes});
    }
}

static void describe_peak(ln_profile *p, const ln_ctx *ctx, const ln_plan *plan, const ln_work *work, int at) {
  ln_profile_peak *k = &p->peak;
  k->outside = p->outside;
  k->bytes = p->outside + p->memory[at];
  k->arena = ctx->arena_bytes[plan->device];
  k->free = pool_bytes(ctx);
  k->at = at;
  k->workspace = plan->step[at].call.workspace_bytes;
  k->temporaries = p->memory[at] - k->workspace;
  k->cells = k->kept = 0;
  for (int i = 0; i < plan->nslot; i++) {
    if (plan->slot[i].is_cell) k->cells += plan->slot[i].bytes;
    if (plan->slot[i].root == i && plan->slot[i].place == LN_LIVE) k->kept += plan->slot[i].bytes;
  }
  k->ntop = 0;
  rank_values(p, plan, work);
}

static void keep_peak(ln_profile *p, const ln_ctx *ctx, const ln_plan *plan, const ln_work *work, int at) {
  ln_profile_peak *k = &p->peak;
  if (!grow(p, &k->memory, sizeof *k->memory, plan->nstep, &k->memory_cap)) return;
  if (!grow(p, &k->row, sizeof *k->row, plan->nstep, &k->row_cap)) return;
  k->nstep = plan->nstep;
  for (int s = 0; s < plan->nstep; s++) {
    k->memory[s] = p->outside + p->memory[s];
    k->row[s] = plan->step[s].elided ? -1 : row_of(p, plan->step[s].call.op, work->node[plan->step[s].node]);
  }
  describe_peak(p, ctx, plan, work, at);
}

void ln_profile_plan(ln_ctx *ctx, const ln_plan *plan, const ln_work *work) {
  ln_profile *p = ctx->profile;
  if (plan->nstep == 0) return;
  ln_activity before = ln_enter(ctx, LN_PROFILING);
  int at = 0;
  bool counted = count_temporaries(p, plan);
  for (int s = 1; counted && s < plan->nstep; s++)
    if (p->memory[s] > p->memory[at]) at = s;
  p->outside = atomic_load(&ctx->mem.live) - ctx->arena_bytes[plan->device] - p->own;
  if (counted && p->outside + p->memory[at] > p->peak.bytes) keep_peak(p, ctx, plan, work, at);
  ln_leave(ctx, before);
}

/* -- start and end */

ln_code ln_profile_start(ln_ctx *ctx, ln_profile **out) {
  ln_profile *p = ln_calloc(&ctx->mem, 1, sizeof *p);
  if (p == NULL) return ln_no_memory(ctx, sizeof *p);
  p->mem = &ctx->mem;
  p->own = sizeof *p;
  p->flushes = ctx->stat_flushes;
  p->built = ctx->stat_plans;
  p->started = p->since = clock_ns();
  ctx->profile = p;
  *out = p;
  return LN_OK;
}

void ln_profile_stop(ln_ctx *ctx) {
  ln_profile *p = ctx->profile;
  if (p == NULL) return;
  ln_profile_switch(p, LN_SCRIPT);
  p->stopped = p->since;
  p->flushes = ctx->stat_flushes - p->flushes;
  p->built = ctx->stat_plans - p->built;
  ctx->profile = NULL;
}

void ln_profile_free(ln_profile *p) {
  if (p == NULL) return;
  ln_free(p->mem, p->row);
  ln_free(p->mem, p->index);
  ln_free(p->mem, p->event);
  ln_free(p->mem, p->memory);
  ln_free(p->mem, p->peak.memory);
  ln_free(p->mem, p->peak.row);
  ln_free(p->mem, p);
}
