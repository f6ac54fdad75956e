/* conv_bf16_test.c: convolutions whose blocked sides are stored as bf16 beside the same in f32 (bf16.h), on every instruction
 * set of this processor: every op and method, drawn geometries in 1 to 3 dims, images apart, weights that are rounded
 * as they are read, and statistics, which are those of what was stored.
 *
 * Takes the number of geometries (default 40).
 */
#include "bf16.h"

static const ln_op ops[] = {LN_OP_conv, LN_OP_conv_relu, LN_OP_conv_moments, LN_OP_conv_masked, LN_OP_conv_input_grad,
                            LN_OP_conv_input_grad_masked, LN_OP_conv_weight_grad, LN_OP_conv_transpose};

static int64_t draw(int64_t lo, int64_t hi) { return lo + (int64_t)ln_below_at(1, 0, drawn++, (uint64_t)(hi - lo + 1)); }

typedef struct geometry {
  int spatial;
  int64_t n, ci, co, kernel, stride, padding, in[LN_SPATIAL], out[LN_SPATIAL];
} geometry;

/* Kinds: 3x3 between blocked sides; windows that tile; a thin src; a thin dst. */
static geometry draw_geometry(int kind) {
  const int64_t lanes = one->lanes;
  geometry g = {.spatial = (int)draw(1, 3), .n = draw(1, 3), .ci = lanes * draw(1, 4), .co = lanes * draw(1, 4), .kernel = 3,
                .stride = 1, .padding = draw(0, 1)};
  if (kind == 0) g.spatial = (int)draw(2, 3);
  if (kind == 1) g.kernel = g.stride = draw(1, 2), g.padding = 0;
  if (kind == 2) g.ci = draw(1, 4);
  if (kind == 3) g.co = draw(1, 3), g.kernel = draw(0, 1) ? 1 : 3, g.padding = g.kernel / 2;
  for (int i = 0; i < g.spatial; i++) {
    g.in[i] = kind == 1 ? g.kernel * draw(1, 9) : draw(3, g.spatial == 3 ? 9 : 21);
    g.out[i] = (g.in[i] + 2 * g.padding - g.kernel) / g.stride + 1;
  }
  return g;
}

static ln_meta image_of(const geometry *g, bool src) {
  int64_t dim[LN_MAX_RANK] = {g->n, src ? g->ci : g->co};
  memcpy(dim + 2, src ? g->in : g->out, sizeof g->in);
  return meta_of(LN_F32, 2 + g->spatial, dim);
}

static ln_meta weights_of(const geometry *g) {
  const int64_t dim[LN_MAX_RANK] = {g->co, g->ci, g->kernel, g->kernel, g->kernel};
  return meta_of(LN_F32, 2 + g->spatial, dim);
}

/* What comes out beside the image: mean and variance, or the sum, of each channel of what was stored; or the weights' gradient,
 * or a thin output, which are as in f32. */
static void check_statistics(const example *low, const example *full, int output) {
  if (output == 0) {
    check(near_to(low->out[0].data, full->out[0].data, full->out[0].numel), full, "a plain output is as in f32");
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
  for (int i = 0; i < g->spatial; i++) e.attrs.stride[i] = g->stride, e.attrs.padding[i] = g->padding, e.attrs.size[i] = weights ? g->kernel : g->in[i];
  e.attrs.nsize = g->spatial;
  e.in[0].meta = image_of(g, !backward);
  e.in[1].meta = weights ? image_of(g, false) : weights_of(g);
  fill(&e.in[0], 'x'), fill(&e.in[1], 'x');
  if (masked) e.in[2].meta = image_of(g, backward), fill(&e.in[2], 'x');
  else if (!weights && op != LN_OP_conv_input_grad) e.in[2].meta = meta_of(LN_F32, 1, backward ? &g->ci : &g->co), fill(&e.in[2], 'c');
  const bool done = complete(&e, op, weights || op == LN_OP_conv_input_grad ? 2 : 3);
  /* Sums of other methods in another order may round the other way where they lie between two. */
  const bool low = done && compare_bf16(&e, 1, check_statistics, weights ? NULL : &e.in[1]);
  drop(&e);
  return low;
}

static int geometries = 40;

static void run_isa(void) {
  int low[4] = {0};
  for (int k = 0; k < geometries; k++) {
    const geometry g = draw_geometry(k % 4);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) low[k % 4] += run_op(&g, ops[i]);
  }
  for (int kind = 0; kind < 4; kind++)
    if (low[kind] >= geometries / 4) passed++;
    else failed++, printf("FAILED %s: geometries of kind %d: only %d took bf16\n", isa, kind, low[kind]);
}

int main(int argc, char **argv) {
  if (argc > 1) geometries = atoi(argv[1]);
  return run_everywhere(run_isa);
}
