/* conv_rows.c: what of the weight gradients of conv_rows.h is summed when, and by which thread. The arithmetic is
 * kern_conv_rows.c's.
 *
 * Positions go by in chunks, rows of dst and the rows of src that they meet. A task owns a tile of pairs of channel blocks
 * and goes over the chunks of its part; a pair's chunk stays near for all of its taps, and of the tile's channels and
 * sums what comes next is in the second-level cache:
 *
 *     for each chunk: for each pair of blocks: for each tap row, group of taps and of channels: sums += ...
 *
 * The sums of a chunk start from zero in registers, so that rounding errors grow with its length and not with the
 * batch's. Few pairs are summed in several parts, added in their order at the end. Chunks and parts depend on the
 * shape alone, and a pair's sums on nothing else.
 */
#include <omp.h>

#include "conv_rows.h"
#include "conv_rows_kern.h"
#include "../layer_kern.h"

enum {
  CHUNK_BYTES = 32 << 10,   /* of one block of dst: shorter sums are loaded and stored too often */
  TILE_BLOCKS = 8,          /* of channels, each way */
  TILE_BYTES = 160 << 10,   /* of a tile's sums */
  ENOUGH_PAIRS = 32,        /* with fewer there are parts */
  TASKS_PER_THREAD = 2
};

typedef struct plan {
  const ln_conv_geometry *g;
  int64_t lanes, ci, co;           /* channels in blocks */
  int64_t taps, tap_rows;          /* tap_rows: of the kernel's depth and height */
  int64_t columns, rows;           /* of a chunk */
  int64_t cuts, chunks;            /* pieces of a row; all chunks */
  int64_t parts, ci_tile, co_tile; /* blocks of a task */
  int64_t sums;                    /* floats of a pair: [lane of ci][tap][lanes of co] */
} plan;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }

bool ln_rows_can(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides) {
  if (sides->src != LN_BLOCKED || sides->dst != LN_BLOCKED || g->groups != 1) return false;
  if (g->ci % cpu->lanes != 0 || g->co % cpu->lanes != 0) return false;
  for (int i = 0; i < LN_SPATIAL; i++)
    if (g->stride[i] != 1 || g->dilation[i] != 1) return false;
  return true;
}

/* Smaller tiles read the chunks more often, so no more tasks than keep the threads busy. */
static void set_tile(plan *p, int threads) {
  p->ci_tile = least(TILE_BLOCKS, p->ci);
  p->co_tile = least(TILE_BLOCKS, p->co);
  while (p->ci_tile * p->co_tile > 1) {
    int64_t tasks = p->parts * up(p->ci, p->ci_tile) * up(p->co, p->co_tile);
    bool fits = p->ci_tile * p->co_tile * p->sums * (int64_t)sizeof(float) <= TILE_BYTES;
    if (fits && (threads == 1 || tasks >= TASKS_PER_THREAD * threads)) break;
    int64_t *most = p->ci_tile > p->co_tile ? &p->ci_tile : &p->co_tile;
    *most = up(*most, 2);
  }
}

static plan plan_of(const ln_cpu *cpu, const ln_conv_geometry *g) {
  const int64_t most = CHUNK_BYTES / (cpu->lanes * (int64_t)sizeof(float));
  plan p = {.g = g, .lanes = cpu->lanes, .ci = g->ci / cpu->lanes, .co = g->co / cpu->lanes,
            .taps = ln_conv_volume(g->kernel), .tap_rows = g->kernel[0] * g->kernel[1]};
  p.sums = p.lanes * p.taps * p.lanes;
  p.cuts = up(g->in[2], most);
  p.columns = up(g->in[2], p.cuts);
  const int64_t rows = g->n * g->out[0] * g->out[1];
  p.rows = up(rows, up(rows, most / p.columns)); /* chunks of nearly equal size */
  p.chunks = up(rows, p.rows) * p.cuts;
  p.parts = least(up(ENOUGH_PAIRS, p.ci * p.co), p.chunks);
  set_tile(&p, cpu->threads);
  return p;
}

/* -- a run */

/* Rows of dst, and of src, that a row of taps brings together within a chunk. */
typedef struct meeting {
  int64_t rows, *src_at, *dst_at;
} meeting;

typedef struct job {
  plan p;
  const ln_rows_kerns *kern;
  const ln_move_kerns *move;
  const ln_conv_tensors *t;
  ln_conv_images images;
  float *parts; /* [part][co][ci][sums], NULL where there is one */
} job;

/* What a thread works on: blocks of channels; their sums, those of a block of co `step` after those before. */
typedef struct task {
  int64_t part, ci, ci_end, co, co_end;
  float *sums;
  int64_t step;
  meeting *met; /* [tap row] */
} task;

/* The workspace: for each thread its lists, and its sums unless parts have them. */
static size_t list_bytes(const plan *p) { return ln_cpu_align((size_t)p->rows * sizeof(int64_t)); }
static size_t met_bytes(const plan *p) { return ln_cpu_align((size_t)p->tap_rows * sizeof(meeting)); }
static size_t lists_bytes(const plan *p) { return met_bytes(p) + (size_t)p->tap_rows * 2 * list_bytes(p); }

static size_t thread_bytes(const plan *p) {
  const size_t sums = (size_t)(p->ci_tile * p->co_tile * p->sums) * sizeof(float);
  return lists_bytes(p) + (p->parts > 1 ? 0 : ln_cpu_align(sums));
}

size_t ln_rows_workspace(const ln_cpu *cpu, const ln_conv_geometry *g) {
  const plan p = plan_of(cpu, g);
  const size_t parts = p.parts > 1 ? (size_t)(p.parts * p.ci * p.co * p.sums) * sizeof(float) : 0;
  return (size_t)cpu->threads * thread_bytes(&p) + parts;
}

/* Task `index` for the thread that owns `room`. */
static task task_of(const job *j, int64_t index, char *room) {
  const plan *p = &j->p;
  const int64_t across = up(p->ci, p->ci_tile), down = up(p->co, p->co_tile), tile = index % (across * down);
  task k = {.part = index / (across * down), .ci = tile % across * p->ci / across, .ci_end = (tile % across + 1) * p->ci / across,
            .co = tile / across * p->co / down, .co_end = (tile / across + 1) * p->co / down};
  k.step = (p->parts > 1 ? p->ci : k.ci_end - k.ci) * p->sums;
  k.sums = j->parts != NULL ? j->parts + (k.part * p->co + k.co) * k.step + k.ci * p->sums
                            : (float *)(void *)(room + lists_bytes(p));
  k.met = (meeting *)(void *)room;
  for (int64_t t = 0; t < p->tap_rows; t++) {
    char *list = room + met_bytes(p) + (size_t)t * 2 * list_bytes(p);
    k.met[t] = (meeting){0, (int64_t *)(void *)list, (int64_t *)(void *)(list + list_bytes(p))};
  }
  return k;
}

static float *sums_of(const job *j, const task *k, int64_t co, int64_t ci) {
  return k->sums + (co - k->co) * k->step + (ci - k->ci) * j->p.sums;
}

/* Rows [row, end) of dst, numbered through images, planes and rows. */
static void meet(const job *j, meeting *m, int64_t row, int64_t end, int64_t tap_row) {
  const ln_conv_geometry *g = j->p.g;
  const int64_t L = j->p.lanes, *in = g->in, *out = g->out;
  const int64_t down = tap_row % g->kernel[1] - g->padding[1], deep = tap_row / g->kernel[1] - g->padding[0];
  int64_t h = row % out[1], d = row / out[1] % out[0], n = row / out[1] / out[0];
  m->rows = 0;
  for (; row < end; row++) {
    if (h + down >= 0 && h + down < in[1] && d + deep >= 0 && d + deep < in[0]) {
      m->src_at[m->rows] = n * j->images.src_image + ((d + deep) * in[1] + h + down) * in[2] * L;
      m->dst_at[m->rows++] = n * j->images.dst_image + (d * out[1] + h) * out[2] * L;
    }
    if (++h == out[1]) h = 0, d++;
    if (d == out[0]) d = 0, n++;
  }
}

/* Neighbouring taps of a call: threes, but none is left alone. */
static int64_t taps_of_call(int64_t left) { return left == 4 ? 2 : least(left, LN_ROWS_TAPS); }

/* One row of taps of a pair; columns [first, last) of src. */
static void add_taps(const job *j, const ln_rows_grad *rows, int64_t first, int64_t last) {
  const plan *p = &j->p;
  const int64_t width = p->g->kernel[2];
  for (int64_t tap = 0, taps; tap < width; tap += taps) {
    taps = taps_of_call(width - tap);
    for (int64_t c = 0; c < p->lanes; c += j->kern->channels[taps]) {
      ln_rows_grad r = *rows;
      r.shift = p->g->padding[2] - tap;
      r.width = p->g->out[2];
      r.begin = first > -r.shift ? first : -r.shift;
      r.end = least(last, r.width - r.shift + taps - 1);
      r.src += c;
      r.channel_step = p->taps * p->lanes;
      r.sums += c * r.channel_step + tap * p->lanes;
      j->kern->grad[taps](&r);
    }
  }
}

static void add_chunk(const job *j, const task *k, int64_t chunk, bool add) {
  const plan *p = &j->p;
  const int64_t row = chunk / p->cuts * p->rows, end = least(row + p->rows, p->g->n * p->g->out[0] * p->g->out[1]);
  const int64_t first = chunk % p->cuts * p->columns, last = least(first + p->columns, p->g->in[2]);
  const int64_t src_block = ln_conv_volume(p->g->in) * p->lanes, dst_block = ln_conv_volume(p->g->out) * p->lanes;
  for (int64_t t = 0; t < p->tap_rows; t++) meet(j, &k->met[t], row, end, t);
  for (int64_t ci = k->ci; ci < k->ci_end; ci++)
    for (int64_t co = k->co; co < k->co_end; co++)
      for (int64_t t = 0; t < p->tap_rows; t++) {
        const meeting *m = &k->met[t];
        const ln_rows_grad rows = {.src = (const float *)j->t->src + ci * src_block, .dst = (const float *)j->t->dst + co * dst_block, .src_at = m->src_at,
                                   .dst_at = m->dst_at, .rows = m->rows, .add = add,
                                   .sums = sums_of(j, k, co, ci) + t * p->g->kernel[2] * p->lanes};
        add_taps(j, &rows, first, last);
      }
}

static void store(const job *j, const float *sums, int64_t co, int64_t ci) {
  const plan *p = &j->p;
  const int64_t row = p->ci * p->lanes * p->taps, count = p->lanes * p->taps;
  j->move->to_plain(j->t->weights + co * p->lanes * row + ci * count, row, sums, count);
}

static void run_task(const job *j, int64_t index, char *room) {
  const plan *p = &j->p;
  const task k = task_of(j, index, room);
  const int64_t begin = k.part * p->chunks / p->parts, end = (k.part + 1) * p->chunks / p->parts;
  for (int64_t c = begin; c < end; c++) add_chunk(j, &k, c, c > begin);
  if (j->parts != NULL) return;
  for (int64_t co = k.co; co < k.co_end; co++)
    for (int64_t ci = k.ci; ci < k.ci_end; ci++) store(j, sums_of(j, &k, co, ci), co, ci);
}

/* The sums of a pair's parts, in their order. */
static void add_parts(const job *j, int64_t pair) {
  const plan *p = &j->p;
  const int64_t all = p->co * p->ci * p->sums;
  float *sums = j->parts + pair * p->sums;
  for (int64_t part = 1; part < p->parts; part++)
    for (int64_t i = 0; i < p->sums; i++) sums[i] += sums[part * all + i];
  store(j, sums, pair / p->ci, pair % p->ci);
}

void ln_rows_run(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides, const ln_conv_tensors *t,
                      void *workspace) {
  job j = {.p = plan_of(cpu, g), .kern = cpu->kerns->rows, .move = cpu->kerns->layer[0]->move, .t = t, .images = sides->images};
  const plan *p = &j.p;
  char *rooms = workspace;
  if (p->parts > 1) j.parts = (float *)(void *)(rooms + (size_t)cpu->threads * thread_bytes(p));
#pragma omp parallel num_threads(cpu->threads) if (cpu->threads > 1)
  {
    char *room = rooms + (size_t)omp_get_thread_num() * thread_bytes(p);
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < p->parts * up(p->ci, p->ci_tile) * up(p->co, p->co_tile); i++) run_task(&j, i, room);
    if (j.parts != NULL) {
#pragma omp for schedule(static)
      for (int64_t pair = 0; pair < p->ci * p->co; pair++) add_parts(&j, pair);
    }
  }
}
