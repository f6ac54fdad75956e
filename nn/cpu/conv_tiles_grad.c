/* conv_tiles_grad.c: weight gradients over windows that tile src: sums of outer products of src's scalars and
 * dst's vectors. A task owns the gradients between some channel blocks of src and one or two of dst, and goes over
 * all positions in the same chunks, so no bits depend on the threads.
 */
#include <string.h>

#include "conv_product.h"
#include "conv_tiles.h"

enum { CHUNK = 128 }; /* positions: of dst's vectors and one block of src, 12 KB stay in the first-level cache */

typedef struct job {
  const ln_conv_geometry *g;
  const ln_conv_tensors *t;
  ln_conv_images images;
  int64_t lanes, kk, ci, co; /* channels in blocks */
  int64_t in[LN_SPATIAL], out[LN_SPATIAL], k[LN_SPATIAL]; /* 1x1: all positions as one row */
  ln_panels sums; /* as FORWARD's weights */
} job;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static job job_of(const ln_cpu *cpu, const ln_conv_geometry *g) {
  job j = {.g = g, .lanes = cpu->lanes, .kk = ln_conv_volume(g->kernel), .ci = g->ci / cpu->lanes, .co = g->co / cpu->lanes};
  for (int i = 0; i < LN_SPATIAL; i++) {
    bool flat = j.kk == 1;
    j.in[i] = !flat ? g->in[i] : i == 2 ? ln_conv_volume(g->in) : 1;
    j.out[i] = !flat ? g->out[i] : i == 2 ? ln_conv_volume(g->out) : 1;
    j.k[i] = g->kernel[i];
  }
  j.sums = (ln_panels){.kerns = cpu->kerns->conv, .lanes = cpu->lanes, .blocks = j.ci * j.kk, .vectors = j.co};
  return j;
}

size_t ln_tiles_grad_workspace(const ln_cpu *cpu, const ln_conv_geometry *g) {
  job j = job_of(cpu, g);
  return ln_panels_workspace(&j.sums, false);
}

/* A chunk: rows of positions of one plane of dst. */
typedef struct chunk {
  int64_t n, d, h, w, rows, width;
} chunk;

/* The gradients between the k blocks [begin, end) and dst's blocks v (and v + 1), over one chunk. */
static void add_chunk(const job *j, const chunk *c, int64_t begin, int64_t end, int64_t v, int vectors) {
  static const int64_t at[LN_OUTER_SCALARS] = {0, 1, 2, 3, 4, 5, 6, 7};
  const int64_t L = j->lanes, plane = ln_conv_volume(j->in), *k = j->k, *in = j->in, *out = j->out;
  int scalars = vectors == 2 && L == 8 ? 4 : 8; /* as many sums as registers hold beside the vectors */
  const float *dst = j->t->dst + c->n * j->images.dst_image +
                     (v * ln_conv_volume(out) + (c->d * out[1] + c->h) * out[2] + c->w) * L;
  const float *src = j->t->src + c->n * j->images.src_image;
  ln_outer o = {.vector = {dst, dst + (vectors - 1) * ln_conv_volume(out) * L}, .at = at, .rows = c->rows, .width = c->width,
                .scalar_row = k[1] * in[2] * L, .scalar_step = k[2] * L, .vector_row = out[2] * L};
  for (int64_t b = begin; b < end; b++) {
    int64_t tap = b % j->kk, kw = tap % k[2], kh = tap / k[2] % k[1], kd = tap / k[2] / k[1];
    int64_t row = (c->d * k[0] + kd) * in[1] + c->h * k[1] + kh;
    for (int64_t l = 0; l < L; l += scalars) {
      int64_t step;
      o.sum = ln_panels_at(&j->sums, v, &step) + (b * L + l) * step;
      o.scalar = src + (b / j->kk * plane + row * in[2] + c->w * k[2] + kw) * L + l;
      j->sums.kerns->outer[vectors - 1][scalars](&o);
    }
  }
}

static void add_all(const job *j, int64_t begin, int64_t end, int64_t v, int vectors) {
  const int64_t *out = j->out;
  chunk c;
  for (c.n = 0; c.n < j->g->n; c.n++)
    for (c.d = 0; c.d < out[0]; c.d++)
      for (c.h = 0; c.h < out[1]; c.h += c.rows) {
        c.rows = out[2] >= CHUNK ? 1 : least(CHUNK / out[2], out[1] - c.h);
        for (c.w = 0; c.w < out[2]; c.w += CHUNK) {
          c.width = least(CHUNK, out[2] - c.w);
          add_chunk(j, &c, begin, end, v, vectors);
        }
      }
}

/* From panels to [co][ci][kk]. */
static void unpack(const job *j, int64_t v) {
  int64_t step, L = j->lanes;
  const float *from = ln_panels_at(&j->sums, v, &step);
  for (int64_t lane = 0; lane < L; lane++) {
    float *to = j->t->weights + (v * L + lane) * j->g->ci * j->kk;
    for (int64_t c = 0; c < j->g->ci; c++)
      for (int64_t tap = 0; tap < j->kk; tap++)
        to[c * j->kk + tap] = from[((c / L * j->kk + tap) * L + c % L) * step + lane];
  }
}

void ln_tiles_grad_run(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides, const ln_conv_tensors *t,
                       void *workspace) {
  enum { TASKS_PER_THREAD = 4 };
  job j = job_of(cpu, g);
  j.t = t;
  j.images = sides->images;
  ln_panels_bind(&j.sums, false, workspace);
  int64_t panels = (j.co + 1) / 2, cuts = (TASKS_PER_THREAD * cpu->threads + panels - 1) / panels;
  if (cuts > j.sums.blocks) cuts = j.sums.blocks;
#pragma omp parallel num_threads(cpu->threads)
  {
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < panels * cuts; i++) {
      int64_t v = i / cuts * 2, cut = i % cuts, step, L = j.lanes;
      int64_t begin = cut * j.sums.blocks / cuts, end = (cut + 1) * j.sums.blocks / cuts;
      float *sums = ln_panels_at(&j.sums, v, &step);
      memset(sums + begin * L * step, 0, (size_t)((end - begin) * L * step) * sizeof *sums);
      add_all(&j, begin, end, v, (int)(step / L));
    }
#pragma omp for schedule(static)
    for (int64_t v = 0; v < j.co; v++) unpack(&j, v);
  }
}
