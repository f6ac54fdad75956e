/* conv_product.c: pieces of pixels through panels of weights (see conv_product.h). */
#include "conv_product.h"

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

void ln_panels_run(const ln_panels *p, const float *in, const int64_t *in_at, float *out, const int64_t *out_at,
                   int64_t count) {
  int pixels = p->kerns->pixels;
  for (int64_t v = 0; v < p->vectors; v += 2) {
    ln_product_fn *const *product = p->kerns->product[p->plain][v + 1 < p->vectors];
    ln_product run = {.in = in, .out = out, .in_at = in_at, .out_at = out_at, .offset = p->offset, .place = p->place + v,
                      .count = count, .blocks = p->blocks, .weights = p->weights + v * ln_panels_depth(p) * p->lanes,
                      .bias = p->bias != NULL ? p->bias + v * p->lanes : NULL};
    product[pixels](&run);
    int64_t rest = count % pixels;
    if (rest == 0) continue;
    run.in_at += count - rest;
    run.out_at += count - rest;
    run.count = rest;
    product[rest](&run);
  }
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
