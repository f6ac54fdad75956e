/* winograd_grad.c: weight gradients of 3x3 and 3x3x3 convolutions by Winograd: which tiles and channels
 * are worked on when, and by which thread. The arithmetic is kern_wino_grad.c's.
 *
 * For each depth tap, part of the output channels and part of the input channels, tiles go by in groups:
 *
 *     transform the group's patches and gradients    (threads share out blocks of channels and runs of tiles)
 *     for each of 36 positions: sums += y^T x        (threads share out positions, or pairs of channels)
 *
 * and the sums become weights at the end. A group's transformed tiles and the sums of a part lie in the
 * workspace, which bounds both. Where one group holds all tiles (deep layers), the sums need no memory of
 * their own: each thread takes some pairs of channels through all positions to their weights, in
 * scratch that stays in its L2. All cuts depend on the shape alone and every sum has one thread and a fixed order,
 * so the bits never depend on the thread count.
 */
#include "../kern.h"
#include "winograd.h"
#include "winograd_grad.h"

#include <omp.h>

enum {
  GROUP_MIN = 64, GROUP_MAX = 128,  /* tiles of a group: fewer re-read the sums too often, more leave the caches */
  GROUP_BYTES = 256 << 10,          /* between them: transformed tiles of few channels stay in L2 */
  TILES_BYTES = 20 << 20,           /* most for transformed tiles, where one group holds all */
  SUMS_BYTES = 10 << 20,            /* most for sums, where groups are many */
  CHUNK_ROWS = 64, CHUNK_VECTORS = 3, /* output channels and vectors of input channels of a thread's scratch */
  RUN_TILES = 32,                   /* tiles of a transforming task */
  PAD = 16                          /* floats after each position, or their strides would meet in one cache set */
};

/* How a geometry is cut; the same for every depth tap. Sizes are in floats. */
typedef struct plan {
  int64_t lanes;
  int64_t rows, columns;                         /* tiles of a plane */
  int64_t group;                                 /* most tiles of a group */
  bool single;                                   /* one group holds all */
  int64_t co_part, ci_part;                      /* channels worked on at a time */
  int64_t x_position, y_position, sums_position; /* strides of positions */
  int64_t sums;                                  /* all sums, or a thread's scratch of them */
} plan;

static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

static bool fits(const plan *p) {
  const int64_t unit = LN_WINO_POSITIONS * (int64_t)sizeof(float);
  if (p->single) return (p->co_part + p->ci_part) * p->group * unit <= TILES_BYTES;
  return p->co_part * p->ci_part * unit <= SUMS_BYTES;
}

/* Halves the larger count of channels until the workspace is small enough. */
static void cut_channels(plan *p) {
  while (!fits(p)) {
    int64_t *most = p->ci_part > p->co_part ? &p->ci_part : &p->co_part;
    if (*most == p->lanes) return;
    *most = round_up(*most / 2, p->lanes);
  }
}

static plan make_plan(const ln_cpu *cpu, const ln_conv_geometry *g) {
  plan p = {.lanes = cpu->kerns->lanes, .co_part = g->co, .ci_part = g->ci};
  p.rows = ceil_div(g->out[1], LN_WINO_TILE);
  p.columns = ceil_div(g->out[2], LN_WINO_TILE);
  const int64_t tiles = g->n * g->out[0] * p.rows * p.columns;
  p.single = tiles <= GROUP_MAX;
  p.group = tiles;
  cut_channels(&p);
  if (!p.single) {
    const int64_t tile_bytes = LN_WINO_POSITIONS * (int64_t)sizeof(float) * (p.co_part + p.ci_part);
    int64_t group = at_most(GROUP_BYTES / tile_bytes, GROUP_MAX);
    if (group < GROUP_MIN) group = GROUP_MIN;
    p.group = ceil_div(tiles, ceil_div(tiles, group));
  }
  p.x_position = p.ci_part * p.group + PAD;
  p.y_position = p.co_part * p.group + PAD;
  const int64_t rows = p.single ? at_most(CHUNK_ROWS, p.co_part) : p.co_part;
  const int64_t columns = p.single ? at_most(CHUNK_VECTORS * p.lanes, p.ci_part) : p.ci_part;
  p.sums_position = rows * columns + PAD;
  p.sums = round_up(LN_WINO_POSITIONS * p.sums_position, PAD);
  return p;
}

bool ln_wino_grad_can(const ln_cpu *cpu, const ln_conv_geometry *g) {
  const int64_t lanes = cpu->kerns->lanes;
  if (g->groups != 1 || g->n < 1 || g->ci < lanes || g->co < lanes || g->ci % lanes || g->co % lanes) return false;
  for (int i = 0; i < LN_SPATIAL; i++)
    if (g->stride[i] != 1 || g->dilation[i] != 1 || g->padding[i] >= g->kernel[i] || g->out[i] < 1) return false;
  return (g->kernel[0] == 1 || g->kernel[0] == 3) && g->kernel[1] == 3 && g->kernel[2] == 3;
}

size_t ln_wino_grad_workspace(const ln_cpu *cpu, const ln_conv_geometry *g) {
  const plan p = make_plan(cpu, g);
  const int64_t sums = p.single ? p.sums * cpu->threads : p.sums;
  return sizeof(float) * (size_t)(LN_WINO_POSITIONS * (p.x_position + p.y_position) + sums);
}

/* -- one call */

/* The state of a run: the same in every thread. */
typedef struct job {
  plan p;
  const ln_wino_grad_kerns *kern;
  const ln_conv_geometry *g;
  const ln_conv_tensors *t;
  const ln_conv_images *images;
  float *x, *y, *sums;                          /* the workspace */
  int64_t tap;                                  /* of the depth */
  int64_t plane0, planes;                       /* planes of dst whose plane of src at this tap is not padding */
  int64_t co0, co, ci0, ci;                     /* this part's channels */
  int64_t tile0, tiles;                         /* this group's */
} job;

/* One side of the convolution, as transforming sees it. */
typedef struct side {
  const char *data;
  const int64_t *size;
  int64_t image, channel0, depth0, padding[2];
  float *to;
  int64_t position;
  ln_wino_grad_transform *transform;
} side;

static side src_side(const job *j) {
  const ln_conv_geometry *g = j->g;
  return (side){j->t->src, g->in, j->images->src_image, j->ci0, j->plane0 + j->tap - g->padding[0],
                {g->padding[1], g->padding[2]}, j->x, j->p.x_position, j->kern->input[j->images->bf16]};
}

static side dst_side(const job *j) {
  return (side){j->t->dst, j->g->out, j->images->dst_image, j->co0, j->plane0, {0, 0}, j->y, j->p.y_position,
                j->kern->gradient[j->images->bf16]};
}

/* Tiles [begin, end) of the group, one block of channels, row of tiles by row. */
static void transform_run(const job *j, const side *s, int64_t block, int64_t begin, int64_t end) {
  const plan *p = &j->p;
  const int64_t plane_size = s->size[1] * s->size[2] * p->lanes;
  const int64_t channels = (s->channel0 / p->lanes + block) * s->size[0] * plane_size, act = ln_conv_act_size(j->images->bf16);
  for (int64_t k = begin, count; k < end; k += count) {
    const int64_t tile = j->tile0 + k, column = tile % p->columns, row = tile / p->columns % p->rows;
    const int64_t plane = tile / p->columns / p->rows, image = plane / j->planes, depth = s->depth0 + plane % j->planes;
    count = at_most(at_most(end - k, p->columns - column), LN_WINO_STRIP);
    const ln_wino_window from = {s->data + (channels + image * s->image + depth * plane_size) * act, s->size[1], s->size[2],
                                 row * LN_WINO_TILE - s->padding[0], column * LN_WINO_TILE - s->padding[1]};
    s->transform(&from, count, s->to + (block * j->p.group + k) * p->lanes, s->position);
  }
}

static void transform_group(const job *j, bool both) {
  const int64_t runs = ceil_div(j->tiles, RUN_TILES);
  const int64_t x_tasks = j->ci / j->p.lanes * runs, y_tasks = both ? j->co / j->p.lanes * runs : 0;
  const side src = src_side(j), dst = dst_side(j);
#pragma omp for schedule(static)
  for (int64_t i = 0; i < x_tasks + y_tasks; i++) {
    const int64_t task = i < x_tasks ? i : i - x_tasks, begin = task % runs * RUN_TILES;
    transform_run(j, i < x_tasks ? &src : &dst, task / runs, begin, at_most(begin + RUN_TILES, j->tiles));
  }
}

static ln_wino_grad_product product_of(const job *j, int position, int64_t co, int64_t ci) {
  const plan *p = &j->p;
  const float *x = j->x + position * p->x_position + ci * p->group, *y = j->y + position * p->y_position + co * p->group;
  return (ln_wino_grad_product){.x = x, .y = y, .next_x = x + p->x_position, .next_y = y + p->y_position,
                           .tiles = j->tiles, .block = p->group * p->lanes, .add = j->tile0 > 0};
}

static void write_weights(const job *j, const ln_wino_sums *sums, int64_t row0, int64_t row1, int64_t co, int64_t ci) {
  const int64_t taps = j->g->kernel[0] * 9;
  j->kern->output(sums, row0, row1, j->t->weights + (co * j->g->ci + ci) * taps + j->tap * 9, j->g->ci * taps, taps);
}

/* All tiles are there: from products to weights, a chunk of channels at a time. */
static void finish_chunks(const job *j) {
  const int64_t lanes = j->p.lanes, blocks = j->ci / lanes;
  const int64_t down = ceil_div(j->co, CHUNK_ROWS), across = ceil_div(blocks, CHUNK_VECTORS);
  float *scratch = j->sums + omp_get_thread_num() * j->p.sums;
#pragma omp for schedule(static)
  for (int64_t i = 0; i < down * across; i++) {
    const int64_t co = i / across * CHUNK_ROWS, block = i % across * blocks / across, ci = block * lanes;
    const ln_wino_sums sums = {scratch, j->p.sums_position, at_most(CHUNK_ROWS, j->co - co),
                               (i % across + 1) * blocks / across - block};
    for (int position = 0; position < LN_WINO_POSITIONS; position++) {
      ln_wino_grad_product product = product_of(j, position, co, ci);
      product.rows = sums.rows;
      j->kern->product(&product, &sums, position);
    }
    write_weights(j, &sums, 0, sums.rows, j->co0 + co, j->ci0 + ci);
  }
}

static ln_wino_sums all_sums(const job *j) {
  return (ln_wino_sums){j->sums, j->p.sums_position, j->co, j->ci / j->p.lanes};
}

/* Threads get the same positions in every group, so that their sums stay in their caches; positions are
 * cut further where they do not divide evenly. */
static void add_group(const job *j, int threads) {
  const int64_t rows = LN_WINO_POSITIONS % threads == 0 ? j->co : at_most(CHUNK_ROWS, j->co);
  const int64_t parts = ceil_div(j->co, rows);
  const ln_wino_sums sums = all_sums(j);
#pragma omp for schedule(static)
  for (int64_t i = 0; i < LN_WINO_POSITIONS * parts; i++) {
    const int64_t row0 = i % parts * rows;
    ln_wino_grad_product product = product_of(j, (int)(i / parts), row0, 0);
    product.row0 = row0;
    product.rows = at_most(rows, j->co - row0);
    j->kern->product(&product, &sums, (int)(i / parts));
  }
}

static void write_sums(const job *j) {
  const ln_wino_sums sums = all_sums(j);
#pragma omp for schedule(static)
  for (int64_t row = 0; row < j->co; row++) write_weights(j, &sums, row, row + 1, j->co0, j->ci0);
}

/* Depth taps without a single plane still pass through, with no tiles: their weights are zeros. */
static void run_part(job *j) {
  const plan *p = &j->p;
  const int64_t tiles = j->g->n * j->planes * p->rows * p->columns;
  j->co = at_most(p->co_part, j->g->co - j->co0);
  j->ci = at_most(p->ci_part, j->g->ci - j->ci0);
  j->tile0 = 0;
  do {
    j->tiles = at_most(p->group, tiles - j->tile0);
    transform_group(j, !p->single || j->ci0 == 0);
    if (p->single) finish_chunks(j);
    else add_group(j, omp_get_num_threads());
    j->tile0 += j->tiles;
  } while (j->tile0 < tiles);
  if (!p->single) write_sums(j);
}

static void run_tap(job *j) {
  const ln_conv_geometry *g = j->g;
  const int64_t first = g->padding[0] - j->tap, end = at_most(g->out[0], g->in[0] + first);
  j->plane0 = first > 0 ? first : 0;
  j->planes = end > j->plane0 ? end - j->plane0 : 0;
  for (j->co0 = 0; j->co0 < g->co; j->co0 += j->p.co_part)
    for (j->ci0 = 0; j->ci0 < g->ci; j->ci0 += j->p.ci_part) run_part(j);
}

void ln_wino_grad_run(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_tensors *t,
                      const ln_conv_images *images, void *workspace) {
  const plan p = make_plan(cpu, g);
  float *x = workspace, *y = x + LN_WINO_POSITIONS * p.x_position, *sums = y + LN_WINO_POSITIONS * p.y_position;
  const job shared = {.p = p, .kern = cpu->kerns->wino_grad, .g = g, .t = t, .images = images, .x = x, .y = y, .sums = sums};
#pragma omp parallel num_threads(cpu->threads) if (cpu->threads > 1)
  {
    job mine = shared;
    for (mine.tap = 0; mine.tap < g->kernel[0]; mine.tap++) run_tap(&mine);
  }
}
