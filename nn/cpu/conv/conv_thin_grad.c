/* conv_thin_grad.c: the weight gradient between a thin and a thick side: outer products of scalars of the (padded) thin
 * side and vectors of the thick one. The positions are cut into parts by the shape alone, each with sums of its own,
 * which are added in order. */
#include <string.h>

#include "conv_thin.h"

enum {
  CHUNK = 128,           /* positions: two vectors of each stay in the first-level cache for all scalars */
  PARTS = 32,            /* most */
  SUMS_FLOATS = 1 << 20  /* of all parts, about */
};

typedef struct job {
  const ln_thin *v;
  const ln_conv_kerns *kerns;
  const float *thin;
  const char *thick;
  int64_t thin_image;
  int64_t rows, parts, depth;  /* rows of all images; depth: scalars of a position */
  int64_t sums_size;           /* floats of one part, [panel][scalar][vectors][lanes] */
  float *sums;
} job;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static job job_of(const ln_thin *v) {
  job j = {.v = v, .rows = v->n * v->thick[0] * v->thick[1], .depth = v->channels * v->kk};
  j.sums_size = j.depth * v->blocks * v->lanes;
  j.parts = least(least(PARTS, j.rows), most(SUMS_FLOATS / j.sums_size, 1));
  return j;
}

static size_t offsets_bytes(const job *j) { return ln_cpu_align((size_t)j->depth * sizeof(int64_t)); }

size_t ln_thin_grad_workspace(const ln_thin *v) {
  job j = job_of(v);
  return offsets_bytes(&j) + ln_cpu_align((size_t)(j.parts * j.sums_size) * sizeof(float));
}

static void add_chunk(const job *j, const ln_chunk *c, const int64_t *offset, float *sums) {
  const ln_thin *v = j->v;
  const int64_t L = v->lanes, act = ln_conv_act_size(v->bf16), *size = v->thick, *padded = v->padded, *s = v->stride, plane = ln_conv_volume(size) * L;
  const char *thick = j->thick + (c->n * v->thick_image + ((c->d * size[1] + c->h) * size[2] + c->w) * L) * act;
  ln_outer o = {.rows = c->rows, .width = c->width, .scalar_row = s[1] * padded[2], .scalar_step = s[2],
                .vector_row = size[2] * L};
  o.scalar = j->thin + c->n * j->thin_image + (c->d * s[0] * padded[1] + c->h * s[1]) * padded[2] + c->w * s[2];
  for (int64_t b = 0; b < v->blocks; b += 2) {
    int64_t vectors = least(2, v->blocks - b), limit = vectors == 2 && L == 8 ? 6 : 8, calls = (j->depth + limit - 1) / limit;
    o.vector[0] = thick + b * plane * act;
    o.vector[1] = thick + (b + vectors - 1) * plane * act;
    for (int64_t i = 0; i < calls; i++) { /* of nearly equal size */
      int64_t k = i * j->depth / calls, scalars = (i + 1) * j->depth / calls - k;
      o.at = offset + k;
      o.sum = sums + (b * j->depth + k * vectors) * L;
      j->kerns->outer[1][vectors - 1][scalars](&o);
    }
  }
}

static void add_part(const job *j, int64_t part, const int64_t *offset) {
  float *sums = j->sums + part * j->sums_size;
  ln_chunk c = {0};
  memset(sums, 0, (size_t)j->sums_size * sizeof *sums);
  while (ln_chunk_next(&c, j->v->thick, part * j->rows / j->parts, (part + 1) * j->rows / j->parts, CHUNK))
    add_chunk(j, &c, offset, sums);
}

/* Adds the parts up and puts the sums of one thick block where they belong. */
static void store(const job *j, int64_t block, float *weights) {
  const ln_thin *v = j->v;
  int64_t vectors = least(2, v->blocks - (block & ~(int64_t)1));
  for (int64_t k = 0; k < j->depth; k++) {
    int64_t step, to = ln_thin_weight(v, block, k / v->kk, k % v->kk, &step);
    const float *sums = j->sums + ((block & ~(int64_t)1) * j->depth + k * vectors + (block & 1)) * v->lanes;
    for (int64_t lane = 0; lane < v->lanes; lane++) {
      double sum = 0;
      for (int64_t part = 0; part < j->parts; part++) sum += (double)sums[part * j->sums_size + lane];
      weights[to + lane * step] = (float)sum;
    }
  }
}

void ln_thin_grad_run(const ln_cpu *cpu, const ln_thin *v, const ln_conv_tensors *t, const float *thin, int64_t thin_image,
                      void *workspace) {
  job j = job_of(v);
  int64_t *offset = workspace;
  j.kerns = cpu->kerns->conv[v->bf16];
  j.thin = thin;
  j.thin_image = thin_image;
  j.thick = v->thin_src ? t->dst : t->src;
  j.sums = (float *)(void *)((char *)workspace + offsets_bytes(&j));
  for (int64_t k = 0; k < j.depth; k++) offset[k] = ln_thin_offset(v, k / v->kk, k % v->kk);
#pragma omp parallel num_threads(cpu->threads)
  {
#pragma omp for schedule(dynamic)
    for (int64_t part = 0; part < j.parts; part++) add_part(&j, part, offset);
#pragma omp for schedule(static)
    for (int64_t b = 0; b < v->blocks; b++) store(&j, b, t->weights);
  }
}
