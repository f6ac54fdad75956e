/* conv_finish.c: bias, statistics, ReLU and masks of a convolution's output (see conv_finish.h). */
#include "conv_call.h"
#include "conv_finish.h"
#include "conv_kern.h"

enum { PIECE_FLOATS = 4096 }; /* of a unit: 16 KB, so that its passes stay in the first-level cache */

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

ln_finish ln_finish_of(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_arg *y) {
  bool forward = dir == LN_CONV_FORWARD;
  ln_finish f = {.cpu = cpu, .layout = y->layout, .n = g->n, .image = ln_conv_image(y),
                 .act = (int64_t)ln_dtype_size(y->meta.dtype)};
  f.channels = forward ? g->co : g->ci;
  f.pixels = ln_conv_volume(forward ? g->out : g->in);
  f.width = y->layout == LN_BLOCKED ? cpu->lanes : 1;
  f.blocks = f.channels / f.width;
  ln_finish_cut(&f, PIECE_FLOATS / f.width);
  return f;
}

void ln_finish_cut(ln_finish *f, int64_t piece) {
  f->piece = piece;
  f->pieces = ceil_div(f->pixels, piece);
}

static size_t part_bytes(const ln_finish *f, size_t each) {
  return ln_cpu_align((size_t)(f->n * f->pieces * f->channels) * each);
}

size_t ln_finish_workspace(const ln_finish *f, bool moments, bool sums) {
  return (moments ? part_bytes(f, sizeof *f->moments) : 0) + (sums ? part_bytes(f, sizeof *f->sums) : 0);
}

void ln_finish_bind(ln_finish *f, const ln_epilogue *e, void *y, void *workspace) {
  f->e = *e;
  f->y = y;
  f->moments = workspace;
  f->sums = (double *)(void *)((char *)workspace + (e->moments != NULL ? part_bytes(f, sizeof *f->moments) : 0));
}

bool ln_finish_needed(const ln_epilogue *e) {
  return e->bias != NULL || e->relu || e->mask != NULL || e->moments != NULL || e->sums != NULL;
}

/* One channel of a plain output, `count` neighbours of it. */
static void finish_plain(const ln_finish *f, void *output, const void *mask, int64_t count, int64_t channel, int64_t at) {
  const ln_spans *spans = f->cpu->spans;
  float *y = output;
  if (f->e.bias != NULL) spans->map->binary[LN_OP_add][LN_VS](y, y, &f->e.bias[channel], count);
  if (f->e.moments != NULL) {
    f->moments[at] = (ln_moments){0};
    spans->reduce->moments(&f->moments[at], y, count);
  }
  if (f->e.relu) spans->map->unary[LN_OP_relu](y, y, count, 0, 0);
  if (mask != NULL) spans->map->map[LN_OP_relu_grad](y, y, mask, NULL, count, 0);
  if (f->e.sums != NULL) {
    f->sums[at] = 0;
    spans->reduce->sum_run(&f->sums[at], y, count);
  }
}

static void finish_blocked(const ln_finish *f, void *y, const void *mask, int64_t count, int64_t channel, int64_t at) {
  f->cpu->kerns->conv[f->act != (int64_t)sizeof(float)]->finish(&(ln_finish_run){
      .y = y, .mask = mask, .positions = count, .bias = f->e.bias != NULL ? f->e.bias + channel : NULL, .relu = f->e.relu,
      .moments = f->e.moments != NULL ? f->moments + at : NULL, .sums = f->e.sums != NULL ? f->sums + at : NULL});
}

void ln_finish_unit(const ln_finish *f, int64_t image, int64_t piece, int64_t block) {
  int64_t from = piece * f->piece, count = f->pixels - from < f->piece ? f->pixels - from : f->piece;
  int64_t channel = block * f->width, inside = channel * f->pixels + from * f->width;
  int64_t at = (image * f->pieces + piece) * f->channels + channel;
  const char *mask = f->e.mask != NULL ? (const char *)f->e.mask + (image * f->e.mask_image + inside) * f->act : NULL;
  (f->layout == LN_BLOCKED ? finish_blocked : finish_plain)(
      f, (char *)f->y + (image * f->image + inside) * f->act, mask, count, channel, at);
}

void ln_finish_images(const ln_finish *f, int64_t first, int64_t end) {
  int64_t units = f->pieces * f->blocks;
  int threads = (end - first) * f->pixels * f->channels < LN_CPU_SERIAL ? 1 : f->cpu->threads;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int64_t u = first * units; u < end * units; u++)
    ln_finish_unit(f, u / units, u % f->pieces, u % units / f->pieces);
}

void ln_finish_merge(const ln_finish *f) {
  if (f->e.moments == NULL && f->e.sums == NULL) return;
  for (int64_t c = 0; c < f->channels && f->e.moments != NULL; c++) f->e.moments[c] = (ln_moments){0};
  for (int64_t c = 0; c < f->channels && f->e.sums != NULL; c++) f->e.sums[c] = 0;
  for (int64_t p = 0; p < f->n * f->pieces; p++)
    for (int64_t c = 0; c < f->channels; c++) {
      if (f->e.moments != NULL) ln_moments_merge(&f->e.moments[c], &f->moments[p * f->channels + c]);
      if (f->e.sums != NULL) f->e.sums[c] += f->sums[p * f->channels + c];
    }
}
