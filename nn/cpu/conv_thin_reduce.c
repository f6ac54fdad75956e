/* conv_thin_reduce.c: a thin side made from the thick one. The thick side is too large for a padded copy, so rows
 * are cut where windows leave it: pixels whose window is inside it side by side, the others one by one. */
#include "conv_thin.h"

enum { SEGMENT = 1024 }; /* pixels of a task */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

typedef struct job {
  const ln_thin *v;
  const ln_conv_kerns *kerns;
  const float *thick, *bias;
  float *thin, *weights;            /* weights: [pair of channels][block][tap][1 or 2][lanes] */
  int64_t thin_size[LN_SPATIAL], thick_size[LN_SPATIAL]; /* 1x1: all positions as one row */
} job;

size_t ln_thin_reduce_workspace(const ln_thin *v) {
  return ln_cpu_align((size_t)(v->channels * v->blocks * v->kk * v->lanes) * sizeof(float));
}

/* Where the weights of the pair that starts with channel c lie, and how many channels it has. */
static float *pair_at(const job *j, int64_t c, int *channels) {
  *channels = (int)least(2, j->v->channels - c);
  return j->weights + c * j->v->blocks * j->v->kk * j->v->lanes;
}

static void pack(const job *j, const ln_conv_tensors *t) {
  const ln_thin *v = j->v;
  for (int64_t c = 0; c < v->channels; c++) {
    int channels;
    float *pair = pair_at(j, c & ~(int64_t)1, &channels);
    for (int64_t i = 0; i < v->blocks * v->kk; i++) {
      int64_t step;
      const float *w = t->weights + ln_thin_weight(v, i / v->kk, c, i % v->kk, &step);
      for (int64_t lane = 0; lane < v->lanes; lane++) pair[(i * channels + (c & 1)) * v->lanes + lane] = w[lane * step];
    }
  }
}

/* The taps [first, end) of dimension i whose thick position is inside when the thin one is q. */
static void inside(const job *j, int i, int64_t q, int64_t *first, int64_t *end) {
  const ln_thin *v = j->v;
  int64_t at = q + v->padding[i], d = v->dilation[i]; /* position at - tap * d */
  *first = at < j->thick_size[i] ? 0 : (at - j->thick_size[i]) / d + 1;
  *end = at < 0 ? 0 : least(v->kernel[i], at / d + 1);
}

/* A row's pixels [w, end), which all have the taps [first[2], last[2]) in the row. */
static void reduce_run(const job *j, int64_t n, int64_t d, int64_t h, int64_t w, int64_t end, const int64_t first[LN_SPATIAL],
                       const int64_t last[LN_SPATIAL]) {
  const ln_thin *v = j->v;
  const int64_t L = v->lanes, *k = v->kernel, *p = v->padding, *dil = v->dilation, *size = j->thick_size;
  int64_t offset[LN_THIN_TAPS], weight[LN_THIN_TAPS], taps = 0, plane = ln_conv_volume(j->thin_size);
  for (int64_t kd = first[0]; kd < last[0]; kd++)
    for (int64_t kh = first[1]; kh < last[1]; kh++)
      for (int64_t kw = first[2]; kw < last[2]; kw++, taps++) {
        weight[taps] = ((kd * k[1] + kh) * k[2] + kw) * L;
        offset[taps] = (((d + p[0] - kd * dil[0]) * size[1] + h + p[1] - kh * dil[1]) * size[2] + p[2] - kw * dil[2]) * L;
      }
  int channels;
  for (int64_t c = 0; c < v->channels; c += channels) {
    ln_reduce r = {.weights = pair_at(j, c, &channels), .offset = offset, .weight = weight, .taps = taps,
                   .blocks = v->blocks, .block_step = ln_conv_volume(size) * L};
    int64_t scaled[LN_THIN_TAPS];
    for (int64_t t = 0; t < taps; t++) scaled[t] = weight[t] * channels;
    r.weight = scaled;
    r.weight_step = v->kk * channels * L;
    float *out = j->thin + n * v->thin_image + c * plane + (d * j->thin_size[1] + h) * j->thin_size[2];
    for (int i = 0; i < channels; i++) r.start[i] = j->bias != NULL ? j->bias[c + i] : 0.0f;
    for (int64_t x = w, pixels; x < end; x += pixels) {
      pixels = channels == 1 && end - x >= 8 ? 8 : end - x >= 4 ? 4 : end - x >= 2 ? 2 : 1;
      r.in = j->thick + n * v->thick_image + x * L;
      for (int i = 0; i < channels; i++) r.out[i] = out + i * plane + x;
      j->kerns->reduce[channels - 1][pixels](&r);
    }
  }
}

/* Pixels [w, end) of one row: those at the edges one by one, with the taps that each has. */
static void reduce_row(const job *j, int64_t n, int64_t d, int64_t h, int64_t w, int64_t end) {
  const ln_thin *v = j->v;
  int64_t first[LN_SPATIAL], last[LN_SPATIAL], reach = (v->kernel[2] - 1) * v->dilation[2];
  inside(j, 0, d, &first[0], &last[0]);
  inside(j, 1, h, &first[1], &last[1]);
  int64_t lo = most(w, least(reach - v->padding[2], end)), hi = most(lo, least(end, j->thick_size[2] - v->padding[2]));
  for (int64_t x = w; x < end; x++) {
    if (x == lo && lo < hi) {
      first[2] = 0, last[2] = v->kernel[2];
      reduce_run(j, n, d, h, lo, hi, first, last);
      x = hi - 1;
      continue;
    }
    inside(j, 2, x, &first[2], &last[2]);
    reduce_run(j, n, d, h, x, x + 1, first, last);
  }
}

void ln_thin_reduce_run(const ln_cpu *cpu, const ln_thin *v, const ln_conv_tensors *t, void *workspace) {
  job j = {.v = v, .kerns = cpu->kerns->conv, .bias = t->bias, .weights = workspace};
  j.thick = v->thin_src ? t->dst : t->src;
  j.thin = v->thin_src ? t->src : t->dst;
  bool flat = v->kk == 1 && !v->copied;
  for (int i = 0; i < LN_SPATIAL; i++) {
    j.thin_size[i] = !flat ? v->thin[i] : i == 2 ? ln_conv_volume(v->thin) : 1;
    j.thick_size[i] = !flat ? v->thick[i] : i == 2 ? ln_conv_volume(v->thick) : 1;
  }
  pack(&j, t);
  int64_t segments = (j.thin_size[2] + SEGMENT - 1) / SEGMENT, rows = j.thin_size[0] * j.thin_size[1];
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
  for (int64_t i = 0; i < v->n * rows * segments; i++) {
    int64_t w = i % segments * SEGMENT, row = i / segments % rows;
    reduce_row(&j, i / segments / rows, row / j.thin_size[1], row % j.thin_size[1], w, least(w + SEGMENT, j.thin_size[2]));
  }
}
