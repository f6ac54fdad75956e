/* conv_products.c: matrix products for blocked sides, by way of plain copies in the workspace: the last resort,
 * where neither a kernel of our own nor oneDNN takes a geometry. */
#include "conv_products.h"
#include "../layer_kern.h"

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

typedef enum direction { TO_PLAIN, TO_BLOCKED } direction;

static void copy(const ln_cpu *cpu, const pair *p, direction to) {
  const ln_move_kerns *move = cpu->kerns->layer[0]->move;
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
  for (int64_t u = 0; u < p->n * (p->channels / cpu->lanes); u++) {
    float *plain, *blocked = unit_of(p, cpu->lanes, u, &plain);
    if (to == TO_PLAIN) move->to_plain(plain, p->positions, blocked, p->positions);
    else move->to_blocked(blocked, plain, p->positions, p->positions);
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
    if (dir != LN_CONV_BACKWARD_DATA) copy(cpu, &src, TO_PLAIN);
  }
  if (sides->dst == LN_BLOCKED) {
    dst.plain = plain.dst = (float *)(void *)room;
    room += plain_bytes(&dst);
    if (dir != LN_CONV_FORWARD) copy(cpu, &dst, TO_PLAIN);
  }
  ln_conv_gemm_run(cpu, g, dir, &plain, room);
  if (sides->src == LN_BLOCKED && dir == LN_CONV_BACKWARD_DATA) copy(cpu, &src, TO_BLOCKED);
  if (sides->dst == LN_BLOCKED && dir == LN_CONV_FORWARD) copy(cpu, &dst, TO_BLOCKED);
}
