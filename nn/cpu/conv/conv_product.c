/* conv_product.c: pieces of pixels through panels of weights (see conv_product.h). */
#include "conv_product.h"
#include "../span.h"

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void *take(char **room, size_t bytes) {
  void *at = *room;
  *room += ln_cpu_align(bytes);
  return at;
}

void ln_panels_bind(ln_panels *p, bool bias, void *workspace) {
  char *room = workspace;
  size_t vector = (size_t)p->lanes * sizeof(float);
  p->offset = take(&room, (size_t)p->blocks * sizeof *p->offset);
  p->place = take(&room, (size_t)p->vectors * sizeof *p->place);
  p->weights = take(&room, (size_t)(ln_panels_depth(p) * p->vectors) * vector);
  p->bias = bias ? take(&room, (size_t)p->vectors * vector) : NULL;
}

size_t ln_panels_workspace(const ln_panels *p, bool bias) {
  size_t vector = (size_t)p->lanes * sizeof(float);
  return ln_cpu_align((size_t)p->blocks * sizeof *p->offset) + ln_cpu_align((size_t)p->vectors * sizeof *p->place) +
         ln_cpu_align((size_t)(ln_panels_depth(p) * p->vectors) * vector) +
         (bias ? ln_cpu_align((size_t)p->vectors * vector) : 0);
}

/* Blocks [b, b + run->blocks) of k for vectors v and v + 1. */
static void run_panel(const ln_panels *p, int64_t v, int64_t b, ln_product run) {
  int pixels = p->kerns->pixels;
  int64_t step, rest = run.count % pixels;
  ln_product_fn *const *product = p->kerns->product[p->plain][v + 1 < p->vectors];
  const float *weights = ln_panels_at(p, v, &step);
  run.offset = p->offset + b;
  run.place = p->place + v;
  run.weights = weights + b * (p->plain ? 1 : p->lanes) * step;
  run.bias = p->bias != NULL ? p->bias + v * p->lanes : NULL;
  run.add = b > 0;
  product[pixels](&run);
  if (rest == 0) return;
  run.in_at += run.count - rest;
  run.out_at += run.count - rest;
  run.count = rest;
  product[rest](&run);
}

/* Part of k for all pixels and vectors, then the next part: the inputs' part stays in the second-level cache. Sums
 * that are stored as bf16 are stored once. */
void ln_panels_run(const ln_panels *p, int64_t first, int64_t last, const void *in, const int64_t *in_at, void *out,
                   const int64_t *out_at, int64_t count) {
  int64_t part = p->bf16 && p->blocks > 0 ? p->blocks : LN_PANEL_DEPTH / (p->plain ? 1 : p->lanes);
  ln_product run = {.in = in, .out = out, .in_at = in_at, .out_at = out_at, .count = count};
  for (int64_t b = 0; b < p->blocks; b += part) {
    run.blocks = least(part, p->blocks - b);
    for (int64_t v = first; v < last; v += 2) run_panel(p, v, b, run);
  }
}

void ln_conv_round_weights(const ln_cpu *cpu, float *weights, int64_t n) {
  enum { BLOCK = 4096 };
#pragma omp parallel for schedule(static) num_threads(cpu->threads) if (n > LN_CPU_SERIAL)
  for (int64_t i = 0; i < n; i += BLOCK)
    cpu->spans->map->unary[LN_OP_round_bf16](weights + i, weights + i, least(BLOCK, n - i), 0, 0);
}

void ln_panels_round(const ln_cpu *cpu, const ln_panels *p) {
  if (p->bf16) ln_conv_round_weights(cpu, p->weights, ln_panels_depth(p) * p->vectors * p->lanes);
}

bool ln_chunk_next(ln_chunk *c, const int64_t size[LN_SPATIAL], int64_t first, int64_t last, int64_t most) {
  int64_t row = first;
  if (c->width > 0) { /* there was one */
    row = (c->n * size[0] + c->d) * size[1] + c->h;
    c->w += c->width;
    if (c->w == size[2]) row += c->rows, c->w = 0;
  }
  if (row >= last) return false;
  c->h = row % size[1];
  c->d = row / size[1] % size[0];
  c->n = row / size[1] / size[0];
  c->width = least(most, size[2] - c->w);
  c->rows = size[2] >= most ? 1 : least(least(most / size[2], size[1] - c->h), last - row);
  return true;
}
