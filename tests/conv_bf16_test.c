/* conv_bf16_test.c: convolutions whose blocked sides are stored as bf16 beside the same in f32 (bf16.h), on every instruction
 * set of this processor: every op and method, drawn geometries in 1 to 3 dims, images apart, weights that are rounded
 * as they are read, and statistics, which are those of what was stored. Then once more with multipliers of pairs of bf16 (nn/cpu/conv/pairs.h) that
 * the rules take for everything they can: in f32's instructions, and in AMX's, emulated where the processor lacks them (tiles.h).
 *
 * Takes the number of geometries (default 50; with less than 20 the largest one is left out).
 */
#define _GNU_SOURCE /* tiles.h: the registers of a trap */
#include "../nn/cpu/kern.h"
#include "../nn/cpu/conv/pairs.h"
#include "bf16.h"
#include "tiles.h"

static const ln_op ops[] = {LN_OP_conv, LN_OP_conv_relu, LN_OP_conv_moments, LN_OP_conv_masked, LN_OP_conv_input_grad,
                            LN_OP_conv_input_grad_masked, LN_OP_conv_weight_grad, LN_OP_conv_transpose};

static int64_t draw(int64_t lo, int64_t hi) { return lo + (int64_t)ln_below_at(1, 0, drawn++, (uint64_t)(hi - lo + 1)); }

typedef struct geometry {
  int spatial;
  int64_t n, ci, co, kernel[LN_SPATIAL], stride, padding[LN_SPATIAL], dilation, in[LN_SPATIAL], out[LN_SPATIAL];
} geometry;

/* Kinds: 3x3 between blocked sides; windows that tile; a thin src; a thin dst; stride 1 with anything else. */
enum { KINDS = 5 };
static geometry draw_geometry(int number) {
  const int kind = number % KINDS;
  const int64_t lanes = one->lanes;
  geometry g = {.spatial = (int)draw(kind == 0 ? 2 : 1, 3), .n = draw(1, 3), .ci = lanes * draw(1, 4), .co = lanes * draw(1, 4), .stride = 1,
                .dilation = kind == 4 ? draw(1, 2) : 1};
  int64_t kernel = 3, padding = draw(0, 1);
  if (kind == 1) kernel = g.stride = number / KINDS % 2 == 0 ? 2 : 1, padding = 0;
  if (kind == 2) g.ci = draw(1, 4);
  if (kind == 3) g.co = draw(1, 3), kernel = draw(0, 1) ? 1 : 3, padding = kernel / 2;
  if (kind == 4 && draw(0, 3) == 0) g.ci = lanes * draw(5, 20), g.co = lanes * draw(5, 20); /* several tasks */
  for (int i = 0; i < g.spatial; i++) {
    if (kind == 4) kernel = draw(1, g.spatial == 3 ? 3 : 5), padding = draw(0, (kernel - 1) * g.dilation);
    g.kernel[i] = kernel, g.padding[i] = padding;
    const int64_t reach = g.dilation * (kernel - 1) + 1;
    g.in[i] = kind == 1 ? kernel * draw(1, 9) : reach + draw(0, g.spatial == 1 ? 300 : g.spatial == 3 ? 6 : 18);
    g.out[i] = (g.in[i] + 2 * padding - reach) / g.stride + 1;
  }
  return g;
}

static ln_meta image_of(const geometry *g, bool src) {
  int64_t dim[LN_MAX_RANK] = {g->n, src ? g->ci : g->co};
  memcpy(dim + 2, src ? g->in : g->out, sizeof g->in);
  return meta_of(LN_F32, 2 + g->spatial, dim);
}

static ln_meta weights_of(const geometry *g) {
  const int64_t dim[LN_MAX_RANK] = {g->co, g->ci, g->kernel[0], g->kernel[1], g->kernel[2]};
  return meta_of(LN_F32, 2 + g->spatial, dim);
}

/* What comes out beside the image: mean and variance, or the sum, of each channel of what was stored; or the weights' gradient,
 * or a thin output, which are as in f32. */
static void check_statistics(const example *low, const example *full, int output) {
  if (output == 0) {
    const double relative = 1.5e-5; /* one may be Winograd's */
    check(near_within(low->out[0].data, full->out[0].data, full->out[0].numel, relative), full, "a plain output is as in f32");
    return;
  }
  const ln_arg *y = &low->out[0];
  const int64_t channels = y->meta.dim[1], s = y->numel / y->meta.dim[0] / channels;
  for (int64_t c = 0; c < channels; c++) {
    double sum = 0, square = 0, size = 0;
    for (int64_t i = 0; i < y->numel; i++) {
      if (i / s % channels != c) continue;
      const double v = y->meta.dtype == LN_BF16 ? (double)float_of(((uint16_t *)y->data)[blocked_index(y, i)])
                                                : (double)((float *)y->data)[i];
      sum += v, square += v * v, size += fabs(v);
    }
    const double count = (double)(y->numel / channels), mean = sum / count, got = (double)((float *)low->out[output].data)[c];
    const double want = low->call.op != LN_OP_conv_moments ? sum : output == 1 ? mean : square / count - mean * mean;
    const double scale = low->call.op != LN_OP_conv_moments ? size : output == 1 ? size / count : square / count;
    check(fabs(got - want) <= 2e-6 * scale + 1e-30, full, "statistics are those of what was stored");
  }
}

static bool run_op(const geometry *g, ln_op op) {
  example e;
  const bool backward = op == LN_OP_conv_input_grad || op == LN_OP_conv_input_grad_masked || op == LN_OP_conv_transpose;
  const bool weights = op == LN_OP_conv_weight_grad, masked = op == LN_OP_conv_masked || op == LN_OP_conv_input_grad_masked;
  begin(&e);
  for (int i = 0; i < g->spatial; i++) {
    e.attrs.stride[i] = g->stride, e.attrs.padding[i] = g->padding[i], e.attrs.dilation[i] = g->dilation;
    e.attrs.kernel[i] = g->kernel[i], e.attrs.size[i] = g->in[i];
  }
  e.attrs.nsize = g->spatial;
  e.in[0].meta = image_of(g, !backward);
  e.in[1].meta = weights ? image_of(g, false) : weights_of(g);
  fill(&e.in[0], 'x'), fill(&e.in[1], 'x');
  if (masked) e.in[2].meta = image_of(g, backward), fill(&e.in[2], 'x');
  else if (!weights && op != LN_OP_conv_input_grad) e.in[2].meta = meta_of(LN_F32, 1, backward ? &g->ci : &g->co), fill(&e.in[2], 'c');
  const bool done = complete(&e, op, weights || op == LN_OP_conv_input_grad ? 2 : 3);
  /* Sums of other methods in another order may round the other way where they lie between two. */
  check(done || op == LN_OP_conv_moments, &e, "is a call of this op"); /* there are no moments of one value */
  const bool low = done && compare_bf16(&e, 1, check_statistics, weights ? NULL : &e.in[1]);
  drop(&e);
  return low;
}

/* Several chunks in an image, and in each part of the sums. */
static void run_large(void) {
  const geometry g = {.spatial = 2, .n = 2, .ci = one->lanes, .co = 2 * one->lanes, .kernel = {3, 2}, .stride = 1, .padding = {1, 1},
                      .dilation = 1, .in = {171, 160}, .out = {171, 161}};
  run_op(&g, LN_OP_conv_moments), run_op(&g, LN_OP_conv_input_grad_masked), run_op(&g, LN_OP_conv_weight_grad);
}

static int geometries = 50;

static void run_kinds(const char *multiplier, int count, bool pairs) {
  int low[KINDS] = {0};
  for (int k = 0; k < count; k++) {
    const geometry g = draw_geometry(k);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) low[k % KINDS] += run_op(&g, ops[i]);
  }
  for (int kind = 0; kind < (pairs ? KINDS : KINDS - 1); kind++)
    if (low[kind] >= count / KINDS) passed++;
    else failed++, printf("FAILED %s, %s: geometries of kind %d: only %d took bf16\n", isa, multiplier, kind, low[kind]);
}

static void run_isa(void) {
  run_kinds("as it is", geometries, one->pairs->rate > 0);
  const ln_pairs *const own = one->pairs;
  ln_pairs preferred = *one->kerns->pairs;
  preferred.rate = 100;
  one->pairs = three->pairs = &preferred;
  run_kinds("pairs in f32", geometries, true);
  if (geometries >= 20) run_large();
#if defined(__x86_64__) && defined(__linux__)
  if (one->isa >= LN_ISA_AVX2 && one->isa < LN_ISA_AMX && tiles_emulate()) {
    preferred = ln_pairs_amx;
    run_kinds("tiles", geometries / 5, true); /* a trap costs microseconds */
    if (tile_products > 0) passed++;
    else failed++, printf("FAILED %s: no tile was multiplied\n", isa);
  }
#endif
  one->pairs = three->pairs = own;
}

int main(int argc, char **argv) {
  if (argc > 1) geometries = atoi(argv[1]);
  return run_everywhere(run_isa);
}
