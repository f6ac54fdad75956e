/* conv_thin_reduce.c: a thin side made from the thick one. The thick side is too large for a padded copy, so rows
 * are cut where windows leave it: pixels whose window is inside it side by side, the others one by one.
 *
 * Where windows tile the thin side, every kernel element of a channel is a 1x1 convolution of its own, whose pixels lie
 * a stride apart: then `outputs` are pairs of channel and kernel element, else channels.
 */
#include "conv_thin.h"

enum { SEGMENT = 1024 }; /* pixels of a task */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

typedef struct job {
  const ln_thin *v;
  const ln_conv_kerns *kerns;
  const char *thick;
  const float *bias;
  float *thin, *weights;            /* weights: [pair of outputs][block][tap][1 or 2][lanes] */
  int64_t outputs, taps;            /* taps: of one output */
  int64_t kernel[LN_SPATIAL], padding[LN_SPATIAL];
  int64_t size[LN_SPATIAL];         /* positions of an output */
  int64_t thin_size[LN_SPATIAL], thick_size[LN_SPATIAL]; /* 1x1: all as one row */
} job;

size_t ln_thin_reduce_workspace(const ln_thin *v) {
  return ln_cpu_align((size_t)(v->channels * v->blocks * v->kk * v->lanes) * sizeof(float));
}

static job job_of(const ln_cpu *cpu, const ln_thin *v, const ln_conv_tensors *t, void *workspace) {
  job j = {.v = v, .kerns = cpu->kerns->conv[v->bf16], .bias = t->bias, .weights = workspace};
  bool flat = v->kk == 1 && !v->copied;
  j.thick = v->thin_src ? t->dst : t->src;
  j.thin = v->thin_src ? t->src : t->dst;
  j.outputs = v->tiles ? v->channels * v->kk : v->channels;
  j.taps = v->tiles ? 1 : v->kk;
  for (int i = 0; i < LN_SPATIAL; i++) {
    j.thin_size[i] = !flat ? v->thin[i] : i == 2 ? ln_conv_volume(v->thin) : 1;
    j.thick_size[i] = !flat ? v->thick[i] : i == 2 ? ln_conv_volume(v->thick) : 1;
    j.size[i] = v->tiles ? j.thick_size[i] : j.thin_size[i];
    j.kernel[i] = v->tiles ? 1 : v->kernel[i];
    j.padding[i] = v->tiles ? 0 : v->padding[i];
  }
  return j;
}

/* Where the weights of the pair that starts with output o lie, and how many outputs it has. */
static float *pair_at(const job *j, int64_t o, int *outputs) {
  *outputs = (int)least(2, j->outputs - o);
  return j->weights + o * j->v->blocks * j->taps * j->v->lanes;
}

static void pack(const ln_cpu *cpu, const job *j, const ln_conv_tensors *t) {
  const ln_thin *v = j->v;
  for (int64_t o = 0; o < j->outputs; o++) {
    int outputs;
    float *pair = pair_at(j, o & ~(int64_t)1, &outputs);
    for (int64_t i = 0; i < v->blocks * j->taps; i++) {
      int64_t step, c = v->tiles ? o / v->kk : o, tap = v->tiles ? o % v->kk : i % v->kk;
      const float *w = t->weights + ln_thin_weight(v, i / j->taps, c, tap, &step);
      for (int64_t lane = 0; lane < v->lanes; lane++) pair[(i * outputs + (o & 1)) * v->lanes + lane] = w[lane * step];
    }
  }
  if (v->bf16) ln_conv_round_weights(cpu, j->weights, j->outputs * v->blocks * j->taps * v->lanes);
}

/* Where the output of channel and kernel element o has its first position, from the image's first element. */
static int64_t output_at(const job *j, int64_t o) {
  const int64_t *k = j->v->kernel, *size = j->thin_size, plane = ln_conv_volume(size), tap = o % j->v->kk;
  if (!j->v->tiles) return o * plane;
  return o / j->v->kk * plane + (tap / k[2] / k[1] * size[1] + tap / k[2] % k[1]) * size[2] + tap % k[2];
}

/* The taps [first, end) of dimension i whose thick position is inside when the output's is q. */
static void inside(const job *j, int i, int64_t q, int64_t *first, int64_t *end) {
  int64_t at = q + j->padding[i], d = j->v->dilation[i]; /* position at - tap * d */
  *first = at < j->thick_size[i] ? 0 : (at - j->thick_size[i]) / d + 1;
  *end = at < 0 ? 0 : least(j->kernel[i], at / d + 1);
}

/* A row's positions [w, end) of all outputs by the same taps. */
static void reduce_taps(const job *j, int64_t n, int64_t d, int64_t h, int64_t w, int64_t end, const ln_reduce *taps) {
  const ln_thin *v = j->v;
  const int64_t *s = v->stride, *size = j->thin_size, L = v->lanes, act = ln_conv_act_size(v->bf16);
  int outputs;
  for (int64_t o = 0; o < j->outputs; o += outputs) {
    int64_t weight[LN_THIN_TAPS];
    ln_reduce r = *taps;
    float *out[2] = {NULL, NULL};
    r.weights = pair_at(j, o, &outputs);
    r.weight = weight;
    r.weight_step = j->taps * outputs * L;
    for (int64_t t = 0; t < r.taps; t++) weight[t] = taps->weight[t] * outputs * L;
    for (int i = 0; i < outputs; i++) {
      out[i] = j->thin + n * v->thin_image + output_at(j, o + i) + (d * s[0] * size[1] + h * s[1]) * size[2];
      r.start[i] = j->bias != NULL ? j->bias[v->tiles ? (o + i) / v->kk : o + i] : 0.0f;
    }
    for (int64_t x = w, pixels; x < end; x += pixels) {
      pixels = outputs == 1 && end - x >= 8 ? 8 : end - x >= 4 ? 4 : end - x >= 2 ? 2 : 1;
      r.in = j->thick + (n * v->thick_image + x * L) * act;
      for (int i = 0; i < outputs; i++) r.out[i] = out[i] + x * s[2];
      j->kerns->reduce[outputs - 1][pixels](&r);
    }
  }
}

/* The same by the taps [first, last). */
static void reduce_run(const job *j, int64_t n, int64_t d, int64_t h, int64_t w, int64_t end, const int64_t first[LN_SPATIAL],
                       const int64_t last[LN_SPATIAL]) {
  const int64_t L = j->v->lanes, *k = j->kernel, *p = j->padding, *dil = j->v->dilation, *size = j->thick_size;
  int64_t offset[LN_THIN_TAPS], weight[LN_THIN_TAPS], taps = 0;
  for (int64_t kd = first[0]; kd < last[0]; kd++)
    for (int64_t kh = first[1]; kh < last[1]; kh++)
      for (int64_t kw = first[2]; kw < last[2]; kw++, taps++) {
        weight[taps] = (kd * k[1] + kh) * k[2] + kw;
        offset[taps] = (((d + p[0] - kd * dil[0]) * size[1] + h + p[1] - kh * dil[1]) * size[2] + p[2] - kw * dil[2]) * L;
      }
  ln_reduce r = {.offset = offset, .weight = weight, .taps = taps, .blocks = j->v->blocks,
                 .block_step = ln_conv_volume(size) * L, .step = j->v->stride[2]};
  reduce_taps(j, n, d, h, w, end, &r);
}

/* Positions [w, end) of one row: those at the edges one by one, with the taps that each has. */
static void reduce_row(const job *j, int64_t n, int64_t d, int64_t h, int64_t w, int64_t end) {
  int64_t first[LN_SPATIAL], last[LN_SPATIAL], reach = (j->kernel[2] - 1) * j->v->dilation[2];
  inside(j, 0, d, &first[0], &last[0]);
  inside(j, 1, h, &first[1], &last[1]);
  int64_t lo = most(w, least(reach - j->padding[2], end)), hi = most(lo, least(end, j->thick_size[2] - j->padding[2]));
  for (int64_t x = w; x < end; x++) {
    if (x == lo && lo < hi) {
      first[2] = 0, last[2] = j->kernel[2];
      reduce_run(j, n, d, h, lo, hi, first, last);
      x = hi - 1;
      continue;
    }
    inside(j, 2, x, &first[2], &last[2]);
    reduce_run(j, n, d, h, x, x + 1, first, last);
  }
}

void ln_thin_reduce_run(const ln_cpu *cpu, const ln_thin *v, const ln_conv_tensors *t, void *workspace) {
  job j = job_of(cpu, v, t, workspace);
  pack(cpu, &j, t);
  int64_t segments = (j.size[2] + SEGMENT - 1) / SEGMENT, rows = j.size[0] * j.size[1];
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
  for (int64_t i = 0; i < v->n * rows * segments; i++) {
    int64_t w = i % segments * SEGMENT, row = i / segments % rows;
    reduce_row(&j, i / segments / rows, row / j.size[1], row % j.size[1], w, least(w + SEGMENT, j.size[2]));
  }
}
