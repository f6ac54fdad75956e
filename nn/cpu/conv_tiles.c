/* conv_tiles.c: products over windows that tile src (see conv_tiles.h).
 *
 * FORWARD gathers: k counts (channel block of src, kernel element, lane). BACKWARD_DATA scatters: the
 * output's vectors count (channel block of src, kernel element), so that a pair of neighbouring pixels is stored
 * as one cache line. Work is cut into pieces of dst's pixels; bits depend on no cut.
 */
#include "conv_tiles.h"
#include "conv_product.h"

typedef struct job {
  const ln_conv_geometry *g;
  ln_conv_dir dir;
  ln_conv_images images;
  const ln_conv_tensors *t;
  const ln_finish *f;  /* or NULL */
  bool hot;            /* pieces of the output are finished one by one */
  int64_t lanes, kk;   /* kk: kernel elements */
  int64_t ci, co;      /* in blocks */
  int64_t in_plane, out_plane, piece, pieces;
  ln_panels panels;
} job;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

bool ln_tiles_can(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides) {
  return sides->src == LN_BLOCKED && sides->dst == LN_BLOCKED && g->groups == 1 && cpu->kerns->conv != NULL &&
         ln_conv_tiles(g);
}

/* A piece's inputs fill half of a second-level cache of 512 KB, together with a panel of weights. */
static int64_t piece_of(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  enum { INPUT_FLOATS = 32768 };
  int64_t depth = dir == LN_CONV_FORWARD ? g->ci * ln_conv_volume(g->kernel) : g->co, r = cpu->kerns->conv->pixels;
  return least(most(INPUT_FLOATS / depth / r, 4) * r, LN_PIECE_PIXELS / r * r);
}

static job job_of(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  job j = {.g = g, .dir = dir, .lanes = cpu->lanes, .kk = ln_conv_volume(g->kernel)};
  j.hot = dir == LN_CONV_FORWARD || j.kk == 1;
  j.ci = g->ci / j.lanes;
  j.co = g->co / j.lanes;
  j.in_plane = ln_conv_volume(g->in);
  j.out_plane = ln_conv_volume(g->out);
  j.piece = piece_of(cpu, g, dir);
  j.pieces = (j.out_plane + j.piece - 1) / j.piece;
  bool forward = dir == LN_CONV_FORWARD;
  j.panels = (ln_panels){.kerns = cpu->kerns->conv, .lanes = cpu->lanes, .blocks = forward ? j.ci * j.kk : j.co,
                         .vectors = forward ? j.co : j.ci * j.kk};
  return j;
}

int64_t ln_tiles_piece(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  job j = job_of(cpu, g, dir);
  return j.hot ? j.piece : 0;
}

size_t ln_tiles_workspace(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, bool bias) {
  job j = job_of(cpu, g, dir);
  return ln_panels_workspace(&j.panels, bias);
}

/* -- weights, offsets */

/* From src's first element of a window to its element `tap` of channel block c. */
static int64_t window_offset(const job *j, int64_t c, int64_t tap) {
  const int64_t *k = j->g->kernel, *in = j->g->in;
  int64_t w = tap % k[2], h = tap / k[2] % k[1], d = tap / k[2] / k[1];
  return (c * j->in_plane + (d * in[1] + h) * in[2] + w) * j->lanes;
}

/* Weight [co][ci][kk] of one vector of output channels, for all k. A vector's lane is in FORWARD a channel of dst
 * and k runs over src's, in BACKWARD_DATA the other way round. */
static void pack_vector(const job *j, int64_t v) {
  int64_t step, L = j->lanes, row = j->g->ci * j->kk;
  float *to = ln_panels_at(&j->panels, v, &step);
  const float *w = j->t->weights;
  if (j->dir == LN_CONV_FORWARD) {
    for (int64_t c = 0; c < j->ci; c++)
      for (int64_t lane = 0; lane < L; lane++) {
        const float *from = w + (v * L + lane) * row + c * L * j->kk;
        for (int64_t l = 0; l < L; l++)
          for (int64_t tap = 0; tap < j->kk; tap++) to[((c * j->kk + tap) * L + l) * step + lane] = from[l * j->kk + tap];
      }
    return;
  }
  const float *from = w + v / j->kk * L * j->kk + v % j->kk;
  for (int64_t k = 0; k < j->g->co; k++)
    for (int64_t lane = 0; lane < L; lane++) to[k * step + lane] = from[k * row + lane * j->kk];
}

static void pack(const ln_cpu *cpu, const job *j) {
  const ln_panels *p = &j->panels;
  bool forward = j->dir == LN_CONV_FORWARD;
  for (int64_t b = 0; b < p->blocks; b++)
    p->offset[b] = forward ? window_offset(j, b / j->kk, b % j->kk) : b * j->out_plane * j->lanes;
  for (int64_t v = 0; v < p->vectors; v++) {
    p->place[v] = forward ? v * j->out_plane * j->lanes : window_offset(j, v / j->kk, v % j->kk);
    for (int64_t l = 0; l < j->lanes && p->bias != NULL; l++)
      p->bias[v * j->lanes + l] = j->t->bias[(forward ? v : v / j->kk) * j->lanes + l];
  }
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
  for (int64_t v = 0; v < p->vectors; v++) pack_vector(j, v);
}

/* -- pieces */

/* Where the pixels [first, first + count) of dst, and their windows in src, start. */
static void set_places(const job *j, int64_t first, int64_t count, int64_t *src_at, int64_t *dst_at) {
  const int64_t *k = j->g->kernel, *in = j->g->in, *out = j->g->out;
  int64_t w = first % out[2], h = first / out[2] % out[1], d = first / out[2] / out[1];
  for (int64_t i = 0; i < count; i++) {
    dst_at[i] = (first + i) * j->lanes;
    src_at[i] = ((d * k[0] * in[1] + h * k[1]) * in[2] + w * k[2]) * j->lanes;
    if (++w == out[2]) w = 0, h++;
    if (h == out[1]) h = 0, d++;
  }
}

static void run_piece(const job *j, int64_t n, int64_t piece) {
  int64_t src_at[LN_PIECE_PIXELS], dst_at[LN_PIECE_PIXELS];
  int64_t first = piece * j->piece, count = least(j->out_plane - first, j->piece);
  float *src = j->t->src + n * j->images.src_image, *dst = j->t->dst + n * j->images.dst_image;
  set_places(j, first, count, src_at, dst_at);
  if (j->dir == LN_CONV_FORWARD)
    ln_panels_run(&j->panels, src, src_at, dst, dst_at, count);
  else
    ln_panels_run(&j->panels, dst, dst_at, src, src_at, count);
  if (j->f != NULL && j->hot)
    for (int64_t b = 0; b < j->f->blocks; b++) ln_finish_unit(j->f, n, piece, b);
}

void ln_tiles_run(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides,
                  const ln_conv_tensors *t, const ln_finish *f, void *workspace) {
  job j = job_of(cpu, g, dir);
  j.t = t;
  j.f = f;
  j.images = sides->images;
  ln_panels_bind(&j.panels, t->bias != NULL, workspace);
  pack(cpu, &j);
#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads)
  for (int64_t i = 0; i < g->n * j.pieces; i++) run_piece(&j, i / j.pieces, i % j.pieces);
  if (f != NULL && !j.hot) ln_finish_images(f, 0, f->n);
}
