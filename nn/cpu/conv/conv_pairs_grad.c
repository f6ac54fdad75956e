/* conv_pairs_grad.c: weight gradients as products of pairs (see conv_pairs.h), which are summed over positions: dst turned, a row for
 * each channel, by pairs of src's positions.
 *
 * Rows of dst and the rows of src that they meet are copied `pitch` positions apart, dst's followed by zeros, so that a tap is one
 * distance between their positions. Pairs of src begin at even ones: for an odd distance dst is read from a position earlier on.
 *
 * A task owns a tile of channels, goes over the chunks of its part and adds to sums in memory, [pair of dst's tiles][pair of src's][tap]. Few
 * tiles are summed in several parts, added in their order at the end. Chunks and parts depend on the shape alone, and a sum on
 * nothing else.
 */
#include <omp.h>
#include <string.h>

#include "conv_pairs.h"
#include "conv_pairs_side.h"

enum {
  TILE = LN_PAIRS_TILE,
  DEPTH = LN_PAIRS_DEPTH,
  SUMS = 4 * LN_PAIRS_SUMS,  /* floats of two tiles by two, of a tap */
  CHUNK_POSITIONS = 1024,    /* with fewer, sums are loaded and stored too often */
  BEFORE = 2,                /* zeros before dst's first position */
  MOST_PAIRS = 4,            /* of tiles in a task, each way */
  TILE_BYTES = 640 << 10,    /* of a task's sums */
  ENOUGH_TASKS = 32,         /* with fewer there are parts */
  TASKS_PER_THREAD = 2
};

typedef struct plan {
  ln_taps taps;
  int64_t out[LN_SPATIAL];
  int64_t src_channels, dst_channels; /* of a position */
  int64_t src_pairs, dst_pairs;       /* of tiles of channels, which are worked on together */
  int64_t front;                      /* zeros before each of src's rows, an even number */
  int64_t pitch, rows, row_chunks, chunks, slab_rows;
  int64_t steps, src_size, dst_row;   /* of a chunk; elements of a tile of src, of a row of dst */
  int64_t parts, src_tile, dst_tile;  /* pairs of a task */
} plan;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t even(int64_t a) { return up(a, 2) * 2; }

/* From a position of dst to the one of src that it meets. */
static int64_t tap_position(const plan *p, int64_t tap) {
  return ln_taps_position(&p->taps, tap, p->slab_rows, p->pitch) + p->front - p->taps.padding[2];
}

static int64_t sums_of(const plan *p, int64_t dst_pairs, int64_t src_pairs) { return dst_pairs * src_pairs * p->taps.count * SUMS; }

static void set_chunks(plan *p, const ln_conv_geometry *g, int64_t width) {
  p->front = even(p->taps.padding[2]);
  p->pitch = even(p->front + width + p->taps.padding[2]);
  p->row_chunks = up(p->out[1], up(CHUNK_POSITIONS, p->pitch));
  p->rows = up(p->out[1], p->row_chunks);
  p->row_chunks = up(p->out[1], p->rows);
  p->chunks = g->n * p->out[0] * p->row_chunks;
  p->slab_rows = p->rows + (p->taps.kernel[1] - 1) * p->taps.dilation[1];
  p->steps = up((p->rows - 1) * p->pitch + p->out[2] + 1, DEPTH);
  p->dst_row = BEFORE + p->steps * DEPTH;
  p->src_size = (even(tap_position(p, p->taps.count - 1)) + p->steps * DEPTH) * TILE;
}

/* Smaller tiles copy more, so no more tasks than keep the threads busy. */
static void set_tile(plan *p, int threads) {
  p->src_tile = least(MOST_PAIRS, p->src_pairs);
  p->dst_tile = least(MOST_PAIRS, p->dst_pairs);
  while (p->src_tile * p->dst_tile > 1) {
    const int64_t tasks = p->parts * up(p->src_pairs, p->src_tile) * up(p->dst_pairs, p->dst_tile);
    const bool fits = sums_of(p, p->dst_tile, p->src_tile) * (int64_t)sizeof(float) <= TILE_BYTES;
    if (fits && (threads == 1 || tasks >= TASKS_PER_THREAD * threads)) break;
    int64_t *most = p->src_tile > p->dst_tile ? &p->src_tile : &p->dst_tile;
    *most = up(*most, 2);
  }
}

static plan plan_of(const ln_cpu *cpu, const ln_conv_geometry *g) {
  plan p = {.taps = ln_taps_of(g)};
  const ln_side src = ln_side_src(cpu, g, &(ln_conv_tensors){0}, &(ln_conv_images){0});
  const ln_side dst = ln_side_dst(cpu, g, &(ln_conv_tensors){0}, &(ln_conv_images){0});
  memcpy(p.out, dst.grid, sizeof p.out);
  p.src_channels = src.blocks * cpu->lanes;
  p.dst_channels = dst.blocks * cpu->lanes;
  p.src_pairs = up(p.src_channels, 2 * TILE);
  p.dst_pairs = up(p.dst_channels, 2 * TILE);
  set_chunks(&p, g, src.grid[2]);
  p.parts = least(up(ENOUGH_TASKS, up(p.src_pairs, MOST_PAIRS) * up(p.dst_pairs, MOST_PAIRS)), p.chunks);
  set_tile(&p, cpu->threads);
  return p;
}

/* -- memory: each thread's copies, list of steps, and sums unless parts have them */

static size_t list_bytes(const plan *p) { return ln_cpu_align((size_t)p->steps * sizeof(int64_t)); }
static size_t src_bytes(const plan *p) { return ln_cpu_align((size_t)(p->src_tile * 2 * p->src_size) * sizeof(uint16_t)); }
static size_t dst_bytes(const plan *p) { return ln_cpu_align((size_t)(p->dst_tile * 2 * TILE * p->dst_row) * sizeof(uint16_t)); }
static size_t turn_bytes(const plan *p) { return ln_cpu_align((size_t)(even(p->out[2]) * TILE) * sizeof(uint16_t)); }
static size_t sums_bytes(const plan *p) {
  return p->parts > 1 ? 0 : ln_cpu_align((size_t)sums_of(p, p->dst_tile, p->src_tile) * sizeof(float));
}
static size_t thread_bytes(const plan *p) {
  return list_bytes(p) + src_bytes(p) + dst_bytes(p) + turn_bytes(p) + sums_bytes(p);
}

size_t ln_pairs_grad_workspace(const ln_cpu *cpu, const ln_conv_geometry *g) {
  const plan p = plan_of(cpu, g);
  const int64_t parts = p.parts > 1 ? p.parts * sums_of(&p, p.dst_pairs, p.src_pairs) : 0;
  return (size_t)cpu->threads * thread_bytes(&p) + (size_t)parts * sizeof(float);
}

/* -- a run */

typedef struct job {
  plan p;
  const ln_conv_geometry *g;
  const ln_pairs *pairs;
  const ln_pairs_forms *forms;
  ln_side src, dst;
  float *weights, *parts; /* [part][dst pair][src pair][tap]: NULL where there is one part */
} job;

/* A thread's: pairs of tiles of channels, and their sums, those of a pair of dst's `step` after those before. */
typedef struct task {
  int64_t part, src, src_end, dst, dst_end;
  uint16_t *src_copy, *dst_copy, *turned;
  int64_t *at;
  float *sums;
  int64_t step;
} task;

static task task_of(const job *j, int64_t index, char *room) {
  const plan *p = &j->p;
  const int64_t across = up(p->src_pairs, p->src_tile), down = up(p->dst_pairs, p->dst_tile), tile = index % (across * down);
  task k = {.part = index / (across * down), .src = tile % across * p->src_pairs / across,
            .src_end = (tile % across + 1) * p->src_pairs / across, .dst = tile / across * p->dst_pairs / down,
            .dst_end = (tile / across + 1) * p->dst_pairs / down};
  k.at = (int64_t *)(void *)room;
  k.src_copy = (uint16_t *)(void *)(room += list_bytes(p));
  k.dst_copy = (uint16_t *)(void *)(room += src_bytes(p));
  k.turned = (uint16_t *)(void *)(room += dst_bytes(p));
  k.sums = (float *)(void *)(room + turn_bytes(p));
  if (j->parts != NULL) k.sums = j->parts + sums_of(p, k.part * p->dst_pairs + k.dst, p->src_pairs) + sums_of(p, 1, k.src);
  k.step = sums_of(p, 1, j->parts != NULL ? p->src_pairs : k.src_end - k.src);
  return k;
}

/* -- copies: what is never written stays the zero it was made to be */

static void copy_src_row(const job *j, const task *k, const int64_t at[LN_SPATIAL], int64_t n, int64_t row) {
  const plan *p = &j->p;
  const ln_side *s = &j->src;
  const bool outside = at[0] < 0 || at[0] >= s->grid[0] || at[1] < 0 || at[1] >= s->grid[1];
  const int64_t each = TILE / s->lanes, end = least(k->src_end * 2 * each, s->blocks);
  for (int64_t b = k->src * 2 * each; b < end; b++) {
    uint16_t *to = k->src_copy + (b / each - k->src * 2) * p->src_size + (row * p->pitch + p->front) * TILE;
    if (outside) memset(to, 0, (size_t)(even(s->grid[2]) * TILE) * sizeof *to);
    else j->forms->zip(to + b % each * s->lanes * 2, 2 * TILE, ln_side_at(s, n, b, at), s->step[2], s->grid[2]);
  }
}

static void copy_dst_row(const job *j, const task *k, const int64_t at[LN_SPATIAL], int64_t n, int64_t row, bool outside) {
  const plan *p = &j->p;
  const ln_side *s = &j->dst;
  const int64_t each = TILE / s->lanes, end = least(k->dst_end * 2 * each, s->blocks);
  for (int64_t b = k->dst * 2 * each; b < end; b++) {
    uint16_t *to = k->dst_copy + (b - k->dst * 2 * each) * s->lanes * p->dst_row + BEFORE + row * p->pitch;
    for (int64_t l = 0; l < s->lanes && outside; l++) memset(to + l * p->dst_row, 0, (size_t)p->out[2] * sizeof *to);
    if (!outside) j->forms->turn(to, p->dst_row, ln_side_at(s, n, b, at), s->step[2], p->out[2], k->turned);
  }
}

static void copy_chunk(const job *j, const task *k, int64_t chunk) {
  const plan *p = &j->p;
  const int64_t plane = chunk / p->row_chunks, n = plane / p->out[0], depth = plane % p->out[0], row = chunk % p->row_chunks * p->rows;
  for (int64_t r = 0; r < p->rows; r++)
    copy_dst_row(j, k, (const int64_t[LN_SPATIAL]){depth, row + r, 0}, n, r, row + r >= p->out[1]);
  for (int64_t d = 0; d < p->taps.kernel[0]; d++)
    for (int64_t r = 0; r < p->slab_rows; r++)
      copy_src_row(j, k, (const int64_t[LN_SPATIAL]){depth + d * p->taps.dilation[0] - p->taps.padding[0], row + r - p->taps.padding[1], 0},
                   n, d * p->slab_rows + r);
}

/* -- products */

/* How many of a pair's two tiles have channels. */
static int64_t tiles_of(int64_t pair, int64_t channels) { return channels - pair * 2 * TILE > TILE ? 2 : 1; }

static void add_chunk(const job *j, const task *k, bool add) {
  const plan *p = &j->p;
  for (int64_t s = k->src; s < k->src_end; s++)
    for (int64_t d = k->dst; d < k->dst_end; d++)
      for (int64_t t = 0; t < p->taps.count; t++) {
        const int64_t distance = tap_position(p, t), odd = distance % 2;
        const ln_pairs_product product = {
            .a = k->dst_copy + (d - k->dst) * 2 * TILE * p->dst_row + BEFORE - odd, .at = k->at, .steps = p->steps, .a_row = p->dst_row,
            .a_tile = TILE * p->dst_row, .b = k->src_copy + (s - k->src) * 2 * p->src_size + (distance - odd) * TILE,
            .b_tile = p->src_size, .c = k->sums + (d - k->dst) * k->step + sums_of(p, 1, s - k->src) + t * SUMS, .add = add};
        j->pairs->multiply[tiles_of(d, p->dst_channels) - 1][tiles_of(s, p->src_channels) - 1](&product);
      }
}

/* The gradients of a pair of dst's tiles with a pair of src's. */
static void store(const job *j, const float *sums, int64_t d, int64_t s) {
  const plan *p = &j->p;
  const int64_t elements = ln_conv_volume(j->g->kernel), row = j->g->ci * elements, tiles = tiles_of(d, p->dst_channels);
  const int64_t dst_end = least((d + 1) * 2 * TILE, p->dst_channels), src_end = least((s + 1) * 2 * TILE, p->src_channels);
  for (int64_t co = d * 2 * TILE; co < dst_end; co++)
    for (int64_t ci = s * 2 * TILE; ci < src_end; ci++) {
      const int64_t r = co - d * 2 * TILE, c = ci - s * 2 * TILE;
      const float *from = sums + ((c / TILE * tiles + r / TILE) * TILE + r % TILE) * TILE + c % TILE;
      float *to = j->weights + co * row + ln_side_channel(&j->src, ci, elements);
      for (int64_t t = 0; t < p->taps.count; t++) to[t] = from[t * SUMS];
    }
}

static void run_task(const job *j, int64_t index, char *room) {
  const plan *p = &j->p;
  const task k = task_of(j, index, room);
  const int64_t begin = k.part * p->chunks / p->parts, end = (k.part + 1) * p->chunks / p->parts;
  for (int64_t i = 0; i < p->steps; i++) k.at[i] = i * DEPTH;
  memset(k.src_copy, 0, src_bytes(p));
  memset(k.dst_copy, 0, dst_bytes(p));
  for (int64_t c = begin; c < end; c++) {
    copy_chunk(j, &k, c);
    add_chunk(j, &k, c > begin);
  }
  for (int64_t d = k.dst; d < k.dst_end && j->parts == NULL; d++)
    for (int64_t s = k.src; s < k.src_end; s++) store(j, k.sums + (d - k.dst) * k.step + sums_of(p, 1, s - k.src), d, s);
}

/* The sums of a pair's parts, in their order. */
static void add_parts(const job *j, int64_t pair) {
  const plan *p = &j->p;
  const int64_t each = sums_of(p, 1, 1), all = sums_of(p, p->dst_pairs, p->src_pairs);
  float *sums = j->parts + pair * each;
  for (int64_t part = 1; part < p->parts; part++)
    for (int64_t i = 0; i < each; i++) sums[i] += sums[part * all + i];
  store(j, sums, pair / p->src_pairs, pair % p->src_pairs);
}

void ln_pairs_grad_run(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_tensors *t, const ln_conv_images *images,
                       void *workspace) {
  job j = {.p = plan_of(cpu, g), .g = g, .pairs = cpu->pairs, .forms = cpu->kerns->pairs_forms, .src = ln_side_src(cpu, g, t, images),
           .dst = ln_side_dst(cpu, g, t, images), .weights = t->weights};
  const plan *p = &j.p;
  char *rooms = workspace;
  if (p->parts > 1) j.parts = (float *)(void *)(rooms + (size_t)cpu->threads * thread_bytes(p));
#pragma omp parallel num_threads(cpu->threads) if (cpu->threads > 1)
  {
    char *room = rooms + (size_t)omp_get_thread_num() * thread_bytes(p);
    j.pairs->begin();
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < p->parts * up(p->src_pairs, p->src_tile) * up(p->dst_pairs, p->dst_tile); i++) run_task(&j, i, room);
    j.pairs->end();
    if (j.parts != NULL) {
#pragma omp for schedule(static)
      for (int64_t pair = 0; pair < p->dst_pairs * p->src_pairs; pair++) add_parts(&j, pair);
    }
  }
}
