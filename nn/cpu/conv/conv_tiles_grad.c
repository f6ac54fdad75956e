/* conv_tiles_grad.c: weight gradients over windows that tile src: sums of outer products of src's scalars and
 * dst's vectors. A task owns the gradients between a range of src's k (channel block, kernel element, lane) and a range of
 * dst's panels of two blocks, and goes over all positions in the same chunks, so no bits depend on the threads.
 */
#include <string.h>

#include "conv_product.h"
#include "conv_tiles.h"

enum {
  CHUNK = 128,   /* positions: a panel of dst's stays in the first-level cache */
  K_BLOCKS = 32  /* of src, most in a task: a chunk of theirs stays in the second-level cache for all panels */
};

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
  j.sums = (ln_panels){.kerns = cpu->kerns->conv[0], .lanes = cpu->lanes, .blocks = j.ci * j.kk, .vectors = j.co};
  return j;
}

size_t ln_tiles_grad_workspace(const ln_cpu *cpu, const ln_conv_geometry *g) {
  job j = job_of(cpu, g);
  return ln_panels_workspace(&j.sums, false);
}

/* What a task owns: k blocks and panels. */
typedef struct part {
  int64_t begin, end, first, last;
} part;

static int64_t src_offset(const job *j, int64_t block) {
  const int64_t *k = j->k, *in = j->in;
  int64_t tap = block % j->kk, kw = tap % k[2], kh = tap / k[2] % k[1], kd = tap / k[2] / k[1];
  return (block / j->kk * ln_conv_volume(in) + (kd * in[1] + kh) * in[2] + kw) * j->lanes;
}

/* The gradients of one panel, over one chunk. */
static void add_panel(const job *j, const ln_chunk *c, const part *p, int64_t panel) {
  const int64_t L = j->lanes, *k = j->k, *in = j->in, *out = j->out, v = 2 * panel, plane = ln_conv_volume(out) * L;
  const int64_t act = ln_conv_act_size(j->images.bf16);
  const char *dst = (const char *)j->t->dst + (c->n * j->images.dst_image + v * plane + ((c->d * out[1] + c->h) * out[2] + c->w) * L) * act;
  int64_t step, at[LN_OUTER_SCALARS];
  float *sum = ln_panels_at(&j->sums, v, &step);
  int vectors = (int)(step / L);
  ln_outer o = {.vector = {dst, dst + (vectors - 1) * plane * act}, .at = at, .rows = c->rows, .width = c->width,
                .scalar_row = k[1] * in[2] * L, .scalar_step = k[2] * L, .vector_row = out[2] * L};
  o.scalar = (const char *)j->t->src + (c->n * j->images.src_image + ((c->d * k[0] * in[1] + c->h * k[1]) * in[2] + c->w * k[2]) * L) * act;
  int64_t most = vectors == 2 && L == 8 ? 6 : 8; /* as many as AVX2's registers hold */
  for (int64_t i = p->begin * L; i < p->end * L;) {
    int64_t scalars = least(most, p->end * L - i);
    for (int64_t s = 0; s < scalars; s++) at[s] = j->sums.offset[(i + s) / L] + (i + s) % L;
    o.sum = sum + i * step;
    j->sums.kerns->outer[0][vectors - 1][scalars](&o);
    i += scalars;
  }
}

static void add_all(const job *j, const part *p) {
  ln_chunk c = {0};
  while (ln_chunk_next(&c, j->out, 0, j->g->n * j->out[0] * j->out[1], CHUNK))
    for (int64_t panel = p->first; panel < p->last; panel++) add_panel(j, &c, p, panel);
}

static void clear(const job *j, const part *p) {
  for (int64_t panel = p->first; panel < p->last; panel++) {
    int64_t step;
    float *sums = ln_panels_at(&j->sums, 2 * panel, &step);
    memset(sums + p->begin * j->lanes * step, 0, (size_t)((p->end - p->begin) * j->lanes * step) * sizeof *sums);
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
  enum { TASKS_PER_THREAD = 2 };
  job j = job_of(cpu, g);
  j.t = t;
  j.images = sides->images;
  j.sums.kerns = cpu->kerns->conv[j.images.bf16];
  ln_panels_bind(&j.sums, false, workspace);
  for (int64_t b = 0; b < j.sums.blocks; b++) j.sums.offset[b] = src_offset(&j, b);
  int64_t panels = (j.co + 1) / 2, cuts = (j.sums.blocks + K_BLOCKS - 1) / K_BLOCKS;
  int64_t across = least((TASKS_PER_THREAD * cpu->threads + cuts - 1) / cuts, panels);
#pragma omp parallel num_threads(cpu->threads)
  {
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < cuts * across; i++) {
      int64_t cut = i / across, k = i % across;
      part p = {cut * j.sums.blocks / cuts, (cut + 1) * j.sums.blocks / cuts, k * panels / across, (k + 1) * panels / across};
      clear(&j, &p);
      add_all(&j, &p);
    }
#pragma omp for schedule(static)
    for (int64_t v = 0; v < j.co; v++) unpack(&j, v);
  }
}
