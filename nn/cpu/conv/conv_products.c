/* conv_products.c: matrix products for blocked sides, by way of plain copies in the workspace: the last resort,
 * where neither a kernel of our own nor oneDNN takes a geometry. */
#include "conv_products.h"

/* A blocked tensor and its plain copy. */
typedef struct pair {
  float *blocked, *plain;
  int64_t n, channels, positions, image;
} pair;

static size_t plain_bytes(const pair *p) {
  return ln_cpu_align((size_t)(p->n * p->channels * p->positions) * sizeof *p->plain);
}

/* Unit u is one block of channels of one image; its copy starts there in the plain tensor. */
static float *unit_of(const pair *p, int lanes, int64_t u, float **plain) {
  int64_t blocks = p->channels / lanes, block = u % blocks * lanes * p->positions;
  *plain = p->plain + u / blocks * p->channels * p->positions + block;
  return p->blocked + u / blocks * p->image + block;
}

static void to_plain(const ln_cpu *cpu, const pair *p) {
  int lanes = cpu->lanes;
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
  for (int64_t u = 0; u < p->n * (p->channels / lanes); u++) {
    float *plain, *blocked = unit_of(p, lanes, u, &plain);
    for (int64_t i = 0; i < p->positions; i++)
      for (int k = 0; k < lanes; k++) plain[k * p->positions + i] = blocked[i * lanes + k];
  }
}

static void to_blocked(const ln_cpu *cpu, const pair *p) {
  int lanes = cpu->lanes;
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
  for (int64_t u = 0; u < p->n * (p->channels / lanes); u++) {
    float *plain, *blocked = unit_of(p, lanes, u, &plain);
    for (int64_t i = 0; i < p->positions; i++)
      for (int k = 0; k < lanes; k++) blocked[i * lanes + k] = plain[k * p->positions + i];
  }
}

static pair src_pair(const ln_conv_geometry *g, const ln_conv_sides *sides) {
  return (pair){.n = g->n, .channels = g->ci, .positions = ln_conv_volume(g->in), .image = sides->images.src_image};
}

static pair dst_pair(const ln_conv_geometry *g, const ln_conv_sides *sides) {
  return (pair){.n = g->n, .channels = g->co, .positions = ln_conv_volume(g->out), .image = sides->images.dst_image};
}

size_t ln_conv_products_workspace(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides) {
  pair src = src_pair(g, sides), dst = dst_pair(g, sides);
  return (sides->src == LN_BLOCKED ? plain_bytes(&src) : 0) + (sides->dst == LN_BLOCKED ? plain_bytes(&dst) : 0) +
         ln_conv_gemm_workspace(cpu, g, dir);
}

void ln_conv_products_run(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides,
                          const ln_conv_tensors *t, void *workspace) {
  pair src = src_pair(g, sides), dst = dst_pair(g, sides);
  ln_conv_tensors plain = *t;
  char *room = workspace;
  src.blocked = t->src;
  dst.blocked = t->dst;
  if (sides->src == LN_BLOCKED) {
    src.plain = plain.src = (float *)(void *)room;
    room += plain_bytes(&src);
    if (dir != LN_CONV_BACKWARD_DATA) to_plain(cpu, &src);
  }
  if (sides->dst == LN_BLOCKED) {
    dst.plain = plain.dst = (float *)(void *)room;
    room += plain_bytes(&dst);
    if (dir != LN_CONV_FORWARD) to_plain(cpu, &dst);
  }
  ln_conv_gemm_run(cpu, g, dir, &plain, room);
  if (sides->src == LN_BLOCKED && dir == LN_CONV_BACKWARD_DATA) to_blocked(cpu, &src);
  if (sides->dst == LN_BLOCKED && dir == LN_CONV_FORWARD) to_blocked(cpu, &dst);
}
