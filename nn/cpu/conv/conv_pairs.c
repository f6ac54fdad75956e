/* conv_pairs.c: a convolution and its gradient at src as products of pairs (see conv_pairs.h): what is copied and multiplied when,
 * and by which thread. The gradient at src is a convolution of dst with the taps in the opposite order.
 *
 * A task owns a chunk of rows of the result and some of its channels. It copies the operand's rows that they meet into a slab (which stays
 * in the second-level cache), multiplies tile by tile of positions and channels, rounds the sums into the result, and finishes it there.
 * Every sum is one run over taps and channels, whatever the cuts.
 */
#include <omp.h>
#include <string.h>

#include "conv_pairs.h"
#include "conv_pairs_side.h"

enum {
  TILE = LN_PAIRS_TILE,
  DEPTH = LN_PAIRS_DEPTH,
  RUN = 8, /* pairs of weights that are gathered together */
  SLAB_BYTES = 384 << 10,
  TASKS_PER_THREAD = 2,
  SUMS_BYTES = 4 * LN_PAIRS_SUMS * (int)sizeof(float)
};

/* What follows from the shape alone. Positions are the slab's. */
typedef struct plan {
  ln_taps taps;
  int64_t grid[LN_SPATIAL];       /* of the result */
  int64_t in_channels, out_channels; /* of a position */
  int64_t depth, groups, steps;   /* depth: elements of a position, whole steps; groups of a step's channels */
  int64_t tiles;                  /* of the result's channels */
  int64_t rows, chunks;           /* of the result's planes */
  int64_t pitch, slab_rows, slab; /* positions of a row; rows of a plane of the slab; all elements */
  int64_t positions;              /* from a chunk's first to its last */
} plan;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t tap_position(const plan *p, int64_t tap) {
  return ln_taps_position(&p->taps, tap, p->slab_rows, p->pitch);
}

/* Chunks of nearly equal size. */
static void set_rows(plan *p) {
  const int64_t border = (p->taps.kernel[1] - 1) * p->taps.dilation[1];
  const int64_t row = p->taps.kernel[0] * p->pitch * p->depth * (int64_t)sizeof(uint16_t), fit = SLAB_BYTES / row - border;
  p->chunks = up(p->grid[1], fit > 1 ? fit : 1);
  p->rows = up(p->grid[1], p->chunks);
  p->chunks = up(p->grid[1], p->rows);
  p->slab_rows = p->rows + border;
  p->positions = (p->rows - 1) * p->pitch + p->grid[2];
  p->slab = (tap_position(p, p->taps.count - 1) + up(p->positions, TILE) * TILE) * p->depth;
}

static plan plan_of(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  const bool forward = dir == LN_CONV_FORWARD;
  plan p = {.taps = ln_taps_of(g)};
  const ln_side src = ln_side_src(cpu, g, &(ln_conv_tensors){0}, &(ln_conv_images){0});
  const ln_side dst = ln_side_dst(cpu, g, &(ln_conv_tensors){0}, &(ln_conv_images){0});
  memcpy(p.grid, forward ? dst.grid : src.grid, sizeof p.grid);
  p.in_channels = (forward ? src : dst).blocks * cpu->lanes;
  p.out_channels = (forward ? dst : src).blocks * cpu->lanes;
  p.groups = up(p.in_channels, DEPTH);
  p.depth = p.groups * DEPTH;
  p.steps = p.taps.count * p.groups;
  p.tiles = up(p.out_channels, TILE);
  p.pitch = p.grid[2] + (p.taps.kernel[2] - 1) * p.taps.dilation[2];
  if (!forward)
    for (int i = 0; i < LN_SPATIAL; i++) p.taps.padding[i] = (p.taps.kernel[i] - 1) * p.taps.dilation[i] - p.taps.padding[i];
  set_rows(&p);
  return p;
}

/* Windows are scattered, and a chunk of planes that are cut is no piece of the same size as all others. */
static int64_t piece_of(const plan *p, const ln_conv_geometry *g, ln_conv_dir dir) {
  const bool scattered = dir == LN_CONV_BACKWARD_DATA && p->taps.windows && ln_conv_volume(g->kernel) > 1;
  return scattered || (p->grid[0] > 1 && p->chunks > 1) ? 0 : p->rows * p->grid[2];
}

int64_t ln_pairs_piece(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  const plan p = plan_of(cpu, g, dir);
  return piece_of(&p, g, dir);
}

/* -- memory: weights, where the steps' tiles begin, each thread's slab and sums */

static size_t weight_bytes(const plan *p) { return ln_cpu_align((size_t)(p->tiles * p->steps * LN_PAIRS_STEP) * sizeof(uint16_t)); }
static size_t list_bytes(const plan *p) { return ln_cpu_align((size_t)(p->steps + p->in_channels / 2 + p->out_channels) * sizeof(int64_t)); }
static size_t gathered_bytes(const plan *p) { return (size_t)(p->taps.count * RUN * TILE) * sizeof(uint32_t); }
static size_t slab_bytes(const plan *p) { return ln_cpu_align((size_t)p->slab * sizeof(uint16_t)); }
/* A thread gathers weights where its slab will be. */
static size_t thread_bytes(const plan *p) {
  const size_t task = slab_bytes(p) + SUMS_BYTES, gathered = gathered_bytes(p);
  return ln_cpu_align(task > gathered ? task : gathered);
}

size_t ln_pairs_weight_bytes(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  const plan p = plan_of(cpu, g, dir);
  return weight_bytes(&p);
}

size_t ln_pairs_workspace(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, bool kept) {
  const plan p = plan_of(cpu, g, dir);
  return (kept ? 0 : weight_bytes(&p)) + list_bytes(&p) + (size_t)cpu->threads * thread_bytes(&p);
}

typedef struct job {
  plan p;
  const ln_pairs *pairs;
  const ln_pairs_forms *forms;
  ln_side in, out;
  const float *bias;
  const ln_finish *f; /* of what is finished while it is hot, or NULL */
  uint16_t *weights;  /* [tile][tap][group][16 pairs][16 columns][2] */
  int64_t *at;        /* [tap][group]; behind it room for lists of channels */
  int64_t parts;      /* of the tiles */
} job;

/* -- weights */

/* Weights are [co][ci][kernel element]. Those of one direction lie pages apart and so do the steps', which caches do not like:
 * a run of pairs is gathered, [tap][pair][column], before it goes where it belongs. */
typedef struct packing {
  const job *j;
  const float *weights;
  const int64_t *in_at, *out_at; /* of each pair of the operand's channels, each of the result's */
  int64_t second;                /* from a pair's first channel to its second */
  bool forward;
} packing;

/* A pair of the operand's channels, a channel of the result: every tap. */
static inline void gather(const packing *k, int64_t pair, int64_t out, uint32_t *to) {
  const int64_t taps = k->j->p.taps.count, second = k->second;
  const float *from = k->weights + k->in_at[pair] + k->out_at[out];
  if (k->forward)
    for (int64_t t = 0; t < taps; t++) to[t * RUN * TILE] = ln_bf16_pair(from[t], from[t + second]);
  else
    for (int64_t t = taps - 1; t >= 0; t--, from++) to[t * RUN * TILE] = ln_bf16_pair(from[0], from[second]);
}

/* A run of pairs for one tile of the result's channels. */
static void pack(const packing *k, int64_t run, int64_t tile, uint32_t *gathered) {
  const plan *p = &k->j->p;
  const int64_t first = tile * TILE, columns = least(TILE, p->out_channels - first), pairs = least(RUN, p->in_channels / 2 - run);
  if (columns < TILE || pairs < RUN) memset(gathered, 0, gathered_bytes(p));
  if (k->forward) {
    for (int64_t c = 0; c < columns; c++)
      for (int64_t i = 0; i < pairs; i++) gather(k, run + i, first + c, gathered + i * TILE + c);
  } else {
    for (int64_t i = 0; i < pairs; i++)
      for (int64_t c = 0; c < columns; c++) gather(k, run + i, first + c, gathered + i * TILE + c);
  }
  uint32_t *to = (uint32_t *)(void *)k->j->weights + (tile * p->steps * TILE + run) * TILE;
  for (int64_t t = 0; t < p->taps.count; t++)
    memcpy(to + t * p->groups * TILE * TILE, gathered + t * RUN * TILE, RUN * TILE * sizeof *to);
}

/* Along the rows of weights: those of a tile in one direction, of a run in the other. */
static void prepare(const ln_cpu *cpu, const job *j, const ln_conv_geometry *g, ln_conv_dir dir, const float *weights, int64_t *lists,
                    char *rooms) {
  const plan *p = &j->p;
  const int64_t elements = ln_conv_volume(g->kernel), row = g->ci * elements, runs = p->depth / 2 / RUN, tiles = p->tiles;
  const bool forward = dir == LN_CONV_FORWARD;
  const packing k = {j, weights, lists, lists + p->in_channels / 2, forward ? elements : row, forward};
  for (int64_t i = 0; i < p->in_channels / 2; i++) lists[i] = ln_side_channel(&j->in, 2 * i, k.second);
  for (int64_t c = 0; c < p->out_channels; c++)
    lists[p->in_channels / 2 + c] = ln_side_channel(&j->out, c, forward ? row : elements);
#pragma omp parallel for schedule(static) num_threads(cpu->threads) if (cpu->threads > 1)
  for (int64_t i = 0; i < runs * tiles; i++)
    pack(&k, (forward ? i % runs : i / tiles) * RUN, forward ? i / runs : i % tiles,
         (uint32_t *)(void *)(rooms + (size_t)omp_get_thread_num() * thread_bytes(p)));
}

static void list_steps(const job *j) {
  for (int64_t s = 0; s < j->p.steps; s++)
    j->at[s] = tap_position(&j->p, s / j->p.groups) * j->p.depth + s % j->p.groups * DEPTH;
}

/* -- a task */

typedef struct task {
  int64_t n, depth, row, rows; /* of the result: its image, plane, first row and how many */
  int64_t chunk;               /* which piece of the image that is */
  int64_t tile, tile_end;
  uint16_t *slab;
  float *sums;
} task;

/* Row `row` of the operand's plane, from column -padding on. A row and its padding are no longer than the pitch. */
static void copy_row(const job *j, int64_t n, int64_t plane, int64_t row, uint16_t *to) {
  const plan *p = &j->p;
  const ln_side *in = &j->in;
  const bool outside = plane < 0 || plane >= in->grid[0] || row < 0 || row >= in->grid[1];
  const int64_t front = p->taps.padding[2], end = front + in->grid[2];
  if (outside || p->in_channels < p->depth) {
    memset(to, 0, (size_t)(p->pitch * p->depth) * sizeof *to);
  } else {
    memset(to, 0, (size_t)(front * p->depth) * sizeof *to);
    memset(to + end * p->depth, 0, (size_t)((p->pitch - end) * p->depth) * sizeof *to);
  }
  if (outside) return;
  for (int64_t b = 0; b < in->blocks; b++)
    j->forms->copy(to + front * p->depth + b * in->lanes, p->depth,
                   ln_side_at(in, n, b, (const int64_t[LN_SPATIAL]){plane, row, 0}), in->step[2], in->grid[2]);
}

static void copy_slab(const job *j, const task *k) {
  const plan *p = &j->p;
  const int64_t border = p->slab_rows - p->rows;
  for (int64_t d = 0; d < p->taps.kernel[0]; d++)
    for (int64_t r = 0; r < k->rows + border; r++)
      copy_row(j, k->n, k->depth + d * p->taps.dilation[0] - p->taps.padding[0], k->row + r - p->taps.padding[1],
               k->slab + (d * p->slab_rows + r) * p->pitch * p->depth);
}

/* Sums of `count` positions from `first` on, `sums` rows apart in their tiles: those within the result's rows, rounded. */
static void store(const job *j, const task *k, int64_t tile, int64_t columns, int64_t first, int64_t count, int64_t sums) {
  const plan *p = &j->p;
  const int64_t lanes = j->out.lanes, end = first + count;
  for (int64_t v = first, run; v < end; v += run) {
    const int64_t x = v % p->pitch, width = least(p->grid[2] - x, end - v);
    run = least(p->pitch - x, end - v);
    for (int64_t c = tile * TILE; width > 0 && c < least((tile + columns) * TILE, p->out_channels); c += lanes) {
      const int64_t block = c / lanes, inside = c - tile * TILE;
      j->forms->store(ln_side_at(&j->out, k->n, block, (const int64_t[LN_SPATIAL]){k->depth, k->row + v / p->pitch, x}), j->out.step[2],
                      k->sums + (inside / TILE * sums + v - first) * TILE + inside % TILE,
                      j->bias != NULL ? j->bias + block / j->out.window * lanes : NULL, width);
    }
  }
}

static void multiply(const job *j, const task *k) {
  const plan *p = &j->p;
  const int64_t positions = (k->rows - 1) * p->pitch + p->grid[2], column = p->steps * LN_PAIRS_STEP;
  for (int64_t tile = k->tile; tile < k->tile_end; tile += 2) {
    const int64_t columns = least(2, k->tile_end - tile);
    for (int64_t v = 0, rows; v < positions; v += rows * TILE) {
      rows = positions - v > TILE ? 2 : 1;
      const ln_pairs_product product = {.a = k->slab + v * p->depth, .b = j->weights + tile * column, .at = j->at, .steps = p->steps,
                                        .a_row = p->depth, .a_tile = TILE * p->depth, .b_tile = column, .c = k->sums};
      j->pairs->multiply[rows - 1][columns - 1](&product);
      store(j, k, tile, columns, v, least(rows * TILE, positions - v), rows * TILE);
    }
  }
}

static void finish(const job *j, const task *k) {
  const int64_t each = TILE / j->out.lanes, end = least(k->tile_end * each, j->out.blocks);
  for (int64_t b = k->tile * each; b < end; b++) ln_finish_unit(j->f, k->n, k->chunk, b);
}

static void run_task(const job *j, int64_t index, char *room) {
  const plan *p = &j->p;
  const int64_t part = index % j->parts, chunk = index / j->parts % p->chunks, depth = index / j->parts / p->chunks;
  const int64_t pairs = up(p->tiles, 2); /* of tiles, which are worked on together */
  task k = {.n = depth / p->grid[0], .depth = depth % p->grid[0], .row = chunk * p->rows, .tile = part * pairs / j->parts * 2,
            .tile_end = least((part + 1) * pairs / j->parts * 2, p->tiles), .slab = (uint16_t *)(void *)room,
            .sums = (float *)(void *)(room + slab_bytes(p))};
  k.rows = least(p->rows, p->grid[1] - k.row);
  k.chunk = k.depth * p->chunks + chunk;
  copy_slab(j, &k);
  multiply(j, &k);
  if (j->f != NULL) finish(j, &k);
}

void ln_pairs_run(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_tensors *t,
                  const ln_conv_images *images, const ln_finish *f, void *kept, bool fresh, void *workspace) {
  const bool forward = dir == LN_CONV_FORWARD;
  const ln_side src = ln_side_src(cpu, g, t, images), dst = ln_side_dst(cpu, g, t, images);
  job j = {.p = plan_of(cpu, g, dir), .pairs = cpu->pairs, .forms = cpu->kerns->pairs_forms, .in = forward ? src : dst,
           .out = forward ? dst : src, .bias = t->bias};
  const plan *p = &j.p;
  const bool hot = piece_of(p, g, dir) > 0;
  if (hot) j.f = f;
  char *room = workspace;
  j.weights = kept;
  if (kept == NULL) j.weights = (uint16_t *)(void *)room, room += weight_bytes(p);
  j.at = (int64_t *)(void *)room;
  room += list_bytes(p);
  const int64_t chunks = g->n * p->grid[0] * p->chunks, wanted = up(TASKS_PER_THREAD * cpu->threads, chunks);
  j.parts = cpu->threads > 1 ? least(wanted, up(p->tiles, 2)) : 1;
  if (kept == NULL || fresh) prepare(cpu, &j, g, dir, t->weights, j.at + p->steps, room);
  list_steps(&j);
#pragma omp parallel num_threads(cpu->threads) if (cpu->threads > 1)
  {
    j.pairs->begin();
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < chunks * j.parts; i++) run_task(&j, i, room + (size_t)omp_get_thread_num() * thread_bytes(p));
    j.pairs->end();
  }
  if (f != NULL && !hot) ln_finish_images(f, 0, f->n);
}
