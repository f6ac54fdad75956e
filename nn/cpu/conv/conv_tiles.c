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
static int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }

bool ln_tiles_can(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides) {
  return sides->src == LN_BLOCKED && sides->dst == LN_BLOCKED && g->groups == 1 && cpu->kerns->conv[0] != NULL &&
         ln_conv_tiles(g);
}

/* A piece's inputs, or what of them is worked on at a time, fill half of a second-level cache of 512 KB. */
static int64_t piece_of(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  enum { INPUT_FLOATS = 65536 };
  int64_t depth = dir == LN_CONV_FORWARD ? g->ci * ln_conv_volume(g->kernel) : g->co, r = cpu->kerns->conv[0]->pixels;
  int64_t pixels = ln_conv_volume(g->out), limit = least(INPUT_FLOATS / least(depth, LN_PANEL_DEPTH), LN_PIECE_PIXELS);
  int64_t pieces = up(pixels, limit / r * r); /* of nearly equal size */
  return up(up(pixels, pieces), r) * r;
}

static job job_of(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  job j = {.g = g, .dir = dir, .lanes = cpu->lanes, .kk = ln_conv_volume(g->kernel)};
  j.hot = dir == LN_CONV_FORWARD || j.kk == 1;
  j.ci = g->ci / j.lanes;
  j.co = g->co / j.lanes;
  j.in_plane = ln_conv_volume(g->in);
  j.out_plane = ln_conv_volume(g->out);
  j.piece = piece_of(cpu, g, dir);
  j.pieces = up(j.out_plane, j.piece);
  bool forward = dir == LN_CONV_FORWARD;
  j.panels = (ln_panels){.kerns = cpu->kerns->conv[0], .lanes = cpu->lanes, .blocks = forward ? j.ci * j.kk : j.co,
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

/* Weights are [co][ci][kk]. FORWARD: vector v has dst's channels as lanes, k runs over src's. */
static void pack_forward(const job *j, int64_t v) {
  int64_t step, L = j->lanes, row = j->g->ci * j->kk;
  float *to = ln_panels_at(&j->panels, v, &step);
  for (int64_t c = 0; c < j->ci; c++)
    for (int64_t lane = 0; lane < L; lane++) {
      const float *from = j->t->weights + (v * L + lane) * row + c * L * j->kk;
      for (int64_t l = 0; l < L; l++)
        for (int64_t tap = 0; tap < j->kk; tap++) to[((c * j->kk + tap) * L + l) * step + lane] = from[l * j->kk + tap];
    }
}

/* BACKWARD_DATA: k runs over dst's channels, here those of one block: rows of weights are pages apart, so
 * few of them are gone through at a time. */
static void pack_data(const job *j, int64_t block) {
  int64_t step, L = j->lanes, row = j->g->ci * j->kk;
  for (int64_t v = 0; v < j->panels.vectors; v++) {
    float *to = ln_panels_at(&j->panels, v, &step);
    const float *from = j->t->weights + v / j->kk * L * j->kk + v % j->kk;
    for (int64_t k = block * L; k < (block + 1) * L; k++)
      for (int64_t lane = 0; lane < L; lane++) to[k * step + lane] = from[k * row + lane * j->kk];
  }
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
  for (int64_t i = 0; i < j->co; i++) (forward ? pack_forward : pack_data)(j, i);
  ln_panels_round(cpu, p);
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

/* The output's vectors [begin, end) of a piece. */
static void run_piece(const job *j, int64_t n, int64_t piece, int64_t begin, int64_t end) {
  int64_t src_at[LN_PIECE_PIXELS], dst_at[LN_PIECE_PIXELS];
  int64_t first = piece * j->piece, count = least(j->out_plane - first, j->piece);
  int64_t act = ln_conv_act_size(j->images.bf16);
  void *src = (char *)j->t->src + n * j->images.src_image * act, *dst = (char *)j->t->dst + n * j->images.dst_image * act;
  set_places(j, first, count, src_at, dst_at);
  if (j->dir == LN_CONV_FORWARD)
    ln_panels_run(&j->panels, begin, end, src, src_at, dst, dst_at, count);
  else
    ln_panels_run(&j->panels, begin, end, dst, dst_at, src, src_at, count);
  if (j->f != NULL && j->hot)
    for (int64_t b = begin; b < end; b++) ln_finish_unit(j->f, n, piece, b);
}

/* Tasks are pieces, and where these are few, some vectors of a piece. */
void ln_tiles_run(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides,
                  const ln_conv_tensors *t, const ln_finish *f, void *workspace) {
  enum { TASKS_PER_THREAD = 4 };
  job j = job_of(cpu, g, dir);
  j.t = t;
  j.f = f;
  j.images = sides->images;
  j.panels.bf16 = j.images.bf16;
  j.panels.kerns = cpu->kerns->conv[j.images.bf16];
  ln_panels_bind(&j.panels, t->bias != NULL, workspace);
  pack(cpu, &j);
  int64_t pieces = g->n * j.pieces, panels = up(j.panels.vectors, 2);
  int64_t cuts = cpu->threads == 1 ? 1 : least(up(TASKS_PER_THREAD * cpu->threads, pieces), panels);
#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads)
  for (int64_t i = 0; i < pieces * cuts; i++) {
    int64_t piece = i / cuts, cut = i % cuts, begin = cut * panels / cuts * 2, end = (cut + 1) * panels / cuts * 2;
    run_piece(&j, piece / j.pieces, piece % j.pieces, begin, least(end, j.panels.vectors));
  }
  if (f != NULL && !j.hot) ln_finish_images(f, 0, f->n);
}
