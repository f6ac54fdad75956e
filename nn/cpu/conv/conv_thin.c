/* conv_thin.c: the view of conv_thin.h, the padded copy of a thin side, and the thick side made from it. */
#include <string.h>

#include "conv_thin.h"

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

ln_thin ln_thin_of(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides) {
  ln_thin v = {.dir = dir, .thin_src = sides->src == LN_PLAIN, .bf16 = sides->images.bf16, .n = g->n, .lanes = cpu->lanes,
               .kk = ln_conv_volume(g->kernel)};
  v.channels = v.thin_src ? g->ci : g->co;
  v.blocks = (v.thin_src ? g->co : g->ci) / cpu->lanes;
  v.thin_image = v.thin_src ? sides->images.src_image : sides->images.dst_image;
  v.thick_image = v.thin_src ? sides->images.dst_image : sides->images.src_image;
  for (int i = 0; i < LN_SPATIAL; i++) {
    int64_t reach = (g->kernel[i] - 1) * g->dilation[i];
    v.thin[i] = v.thin_src ? g->in[i] : g->out[i];
    v.thick[i] = v.thin_src ? g->out[i] : g->in[i];
    v.kernel[i] = g->kernel[i];
    v.stride[i] = g->stride[i];
    v.dilation[i] = g->dilation[i];
    v.padding[i] = v.thin_src ? g->padding[i] : reach - g->padding[i];
    v.padded[i] = (v.thick[i] - 1) * v.stride[i] + reach + 1;
    if (v.padding[i] != 0 || v.padded[i] != v.thin[i]) v.copied = true;
  }
  v.tiles = v.thin_src && ln_conv_tiles(g);
  return v;
}

static bool is_reduce(const ln_thin *v) { return v->dir == (v->thin_src ? LN_CONV_BACKWARD_DATA : LN_CONV_FORWARD); }

bool ln_thin_can(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides) {
  if (sides->src == sides->dst || g->groups != 1 || cpu->kerns->conv[0] == NULL) return false;
  ln_thin v = ln_thin_of(cpu, g, dir, sides);
  if (v.channels > LN_THIN_CHANNELS || v.kk > LN_THIN_TAPS) return false;
  for (int i = 0; i < LN_SPATIAL; i++) {
    if (v.padding[i] < 0) return false;
    bool gaps = v.stride[i] != 1 && (!v.thin_src || is_reduce(&v));
    if (gaps && !v.tiles) return false;
  }
  return true;
}

int64_t ln_thin_offset(const ln_thin *v, int64_t c, int64_t tap) {
  const int64_t *k = v->kernel, *d = v->dilation, *size = v->padded;
  int64_t kw = tap % k[2], kh = tap / k[2] % k[1], kd = tap / k[2] / k[1];
  return ((c * size[0] + kd * d[0]) * size[1] + kh * d[1]) * size[2] + kw * d[2];
}

/* Weights are [co][ci][kk]. Turned around, tap counts from the other end. */
int64_t ln_thin_weight(const ln_thin *v, int64_t block, int64_t c, int64_t tap, int64_t *step) {
  int64_t first = block * v->lanes;
  *step = v->thin_src ? v->channels * v->kk : v->kk;
  if (v->thin_src) return (first * v->channels + c) * v->kk + tap;
  return (c * v->blocks * v->lanes + first) * v->kk + v->kk - 1 - tap;
}

/* -- the padded copy: [n][channels][padded] */

static size_t copy_bytes(const ln_thin *v) {
  if (!v->copied || is_reduce(v)) return 0;
  return ln_cpu_align((size_t)(v->n * v->channels * ln_conv_volume(v->padded)) * sizeof(float));
}

/* One row of the copy; what lies outside the thin side is 0. */
static void copy_row(const ln_thin *v, const float *plane, int64_t d, int64_t h, float *to) {
  int64_t width = v->padded[2], left = least(v->padding[2], width);
  d -= v->padding[0], h -= v->padding[1];
  int64_t count = least(v->thin[2], width - left);
  if (d < 0 || d >= v->thin[0] || h < 0 || h >= v->thin[1]) left = width, count = 0;
  memset(to, 0, (size_t)left * sizeof *to);
  if (count > 0) memcpy(to + left, plane + (d * v->thin[1] + h) * v->thin[2], (size_t)count * sizeof *to);
  memset(to + left + count, 0, (size_t)(width - left - count) * sizeof *to);
}

static void copy(const ln_cpu *cpu, const ln_thin *v, const float *thin, float *to) {
  int64_t rows = v->padded[0] * v->padded[1], plane = ln_conv_volume(v->thin);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
  for (int64_t i = 0; i < v->n * v->channels * rows; i++) {
    int64_t row = i % rows, c = i / rows % v->channels, n = i / rows / v->channels;
    copy_row(v, thin + n * v->thin_image + c * plane, row / v->padded[1], row % v->padded[1], to + i * v->padded[2]);
  }
}

/* -- spread */

static ln_panels panels_of(const ln_cpu *cpu, const ln_thin *v) {
  return (ln_panels){.kerns = cpu->kerns->conv[v->bf16], .lanes = (int)v->lanes, .plain = true, .bf16 = v->bf16,
                     .blocks = v->channels * v->kk, .vectors = v->blocks};
}

static void pack(const ln_cpu *cpu, const ln_thin *v, const ln_panels *p, const ln_conv_tensors *t) {
  for (int64_t k = 0; k < p->blocks; k++) p->offset[k] = ln_thin_offset(v, k / v->kk, k % v->kk);
  for (int64_t b = 0; b < v->blocks; b++) {
    int64_t step, from;
    float *to = ln_panels_at(p, b, &step);
    p->place[b] = b * ln_conv_volume(v->thick) * v->lanes;
    if (p->bias != NULL) memcpy(p->bias + b * v->lanes, t->bias + b * v->lanes, (size_t)v->lanes * sizeof *p->bias);
    for (int64_t k = 0; k < p->blocks; k++) {
      const float *w = t->weights + ln_thin_weight(v, b, k / v->kk, k % v->kk, &from);
      for (int64_t lane = 0; lane < v->lanes; lane++) to[k * step + lane] = w[lane * from];
    }
  }
  ln_panels_round(cpu, p);
}

static int64_t piece_of(const ln_thin *v) {
  enum { OUTPUT_FLOATS = 32768 }; /* 128 KB, in the second-level cache until it is finished */
  int64_t piece = OUTPUT_FLOATS / (v->blocks * v->lanes);
  return piece < 48 ? 48 : least(piece, LN_PIECE_PIXELS);
}

static void spread_piece(const ln_thin *v, const ln_panels *p, const float *thin, void *thick, int64_t first, int64_t count) {
  int64_t in_at[LN_PIECE_PIXELS], out_at[LN_PIECE_PIXELS];
  const int64_t *size = v->thick, *s = v->stride, *padded = v->padded;
  int64_t w = first % size[2], h = first / size[2] % size[1], d = first / size[2] / size[1];
  for (int64_t i = 0; i < count; i++) {
    out_at[i] = (first + i) * v->lanes;
    in_at[i] = (d * s[0] * padded[1] + h * s[1]) * padded[2] + w * s[2];
    if (++w == size[2]) w = 0, h++;
    if (h == size[1]) h = 0, d++;
  }
  ln_panels_run(p, 0, p->vectors, thin, in_at, thick, out_at, count);
}

static void spread(const ln_cpu *cpu, const ln_thin *v, const ln_conv_tensors *t, const float *thin, int64_t thin_image,
                   const ln_finish *f, void *workspace) {
  ln_panels p = panels_of(cpu, v);
  ln_panels_bind(&p, t->bias != NULL, workspace);
  pack(cpu, v, &p, t);
  char *thick = v->thin_src ? t->dst : t->src;
  int64_t act = ln_conv_act_size(v->bf16), piece = piece_of(v), pixels = ln_conv_volume(v->thick), pieces = (pixels + piece - 1) / piece;
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
  for (int64_t i = 0; i < v->n * pieces; i++) {
    int64_t n = i / pieces, first = i % pieces * piece;
    spread_piece(v, &p, thin + n * thin_image, thick + n * v->thick_image * act, first, least(piece, pixels - first));
    for (int64_t b = 0; f != NULL && b < v->blocks; b++) ln_finish_unit(f, n, i % pieces, b);
  }
}

/* -- all three */

int64_t ln_thin_piece(const ln_thin *v) { return is_reduce(v) ? 0 : piece_of(v); }

size_t ln_thin_workspace(const ln_thin *v, bool bias) {
  ln_panels p = {.lanes = (int)v->lanes, .plain = true, .blocks = v->channels * v->kk, .vectors = v->blocks};
  if (is_reduce(v)) return ln_thin_reduce_workspace(v);
  if (v->dir == LN_CONV_BACKWARD_WEIGHTS) return copy_bytes(v) + ln_thin_grad_workspace(v);
  return copy_bytes(v) + ln_panels_workspace(&p, bias);
}

void ln_thin_run(const ln_cpu *cpu, const ln_thin *v, const ln_conv_tensors *t, const ln_finish *f, void *workspace) {
  if (is_reduce(v)) {
    ln_thin_reduce_run(cpu, v, t, workspace);
    if (f != NULL) ln_finish_images(f, 0, f->n);
    return;
  }
  const float *thin = v->thin_src ? t->src : t->dst;
  int64_t thin_image = v->thin_image;
  char *rest = (char *)workspace + copy_bytes(v);
  if (v->copied) {
    copy(cpu, v, thin, workspace);
    thin = workspace;
    thin_image = v->channels * ln_conv_volume(v->padded);
  }
  if (v->dir == LN_CONV_BACKWARD_WEIGHTS) ln_thin_grad_run(cpu, v, t, thin, thin_image, rest);
  else spread(cpu, v, t, thin, thin_image, f, rest);
}
