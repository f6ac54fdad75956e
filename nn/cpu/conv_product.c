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

/* Panels [first, first + panels) of `width` vectors. */
static void run_panels(const ln_panels *p, int64_t first, int64_t panels, int width, const float *in, const int64_t *in_at,
                       float *out, const int64_t *out_at, int64_t count) {
  ln_product_fn *const *product = p->kerns->product[p->plain][width - 1];
  int64_t vector = 2 * first;
  ln_product run = {.offset = p->offset, .place = p->place + vector, .blocks = p->blocks, .panels = panels,
                    .weights = p->weights + vector * ln_panels_depth(p) * p->lanes,
                    .bias = p->bias != NULL ? p->bias + vector * p->lanes : NULL};
  for (int64_t i = 0; i < count;) {
    int64_t pixels = least(count - i, p->kerns->pixels);
    for (int64_t r = 0; r < pixels; r++) {
      run.in[r] = in + in_at[i + r];
      run.out[r] = out + out_at[i + r];
    }
    product[pixels](&run);
    i += pixels;
  }
}

/* Weights that fit the first-level cache serve one group of pixels after the other; of more, a panel
 * serves all of the piece. */
void ln_panels_run(const ln_panels *p, const float *in, const int64_t *in_at, float *out, const int64_t *out_at,
                   int64_t count) {
  enum { FEW_FLOATS = 4096 };
  int64_t full = p->vectors / 2;
  bool few = ln_panels_depth(p) * p->vectors * p->lanes <= FEW_FLOATS;
  for (int64_t j = 0; j < full; j += few ? full : 1)
    run_panels(p, j, few ? full : 1, 2, in, in_at, out, out_at, count);
  if (p->vectors % 2 != 0) run_panels(p, full, 1, 1, in, in_at, out, out_at, count);
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
