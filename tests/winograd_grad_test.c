/* winograd_grad_test.c: weight gradients by Winograd (nn/cpu/conv/winograd_grad.c) beside plain loops in double
 * precision: sizes that tiles fit and do not, below a tile, odd channel counts, paddings, depths, images that
 * are slices of larger ones, several groups of tiles and parts of channels; errors against those of the
 * same loops in single precision, row by row; the same bits from run to run and for one, two, three and five threads.
 * Each instruction set that this processor has runs in a child process of its own. The argument small leaves out the cases
 * of many channels, for emulators.
 */
#include <math.h>

#include "../nn/cpu/kern.h"
#include "../nn/cpu/conv/winograd.h"
#include "weight_grads.h"

typedef struct test_case {
  int64_t n, ci, co, in[LN_SPATIAL], padding[LN_SPATIAL]; /* channels in lanes */
  int64_t depth;                                          /* of the kernel */
  int64_t gap;                                            /* lanes between images */
} test_case;

static const test_case cases[] = {
    {1, 1, 1, {1, 1, 1}, {0, 1, 1}, 1, 0},     {1, 1, 2, {1, 3, 5}, {0, 1, 1}, 1, 0},
    {3, 2, 1, {1, 3, 5}, {0, 0, 0}, 1, 5},     {1, 3, 2, {1, 8, 8}, {0, 1, 1}, 1, 0},
    {3, 2, 3, {1, 13, 17}, {0, 1, 1}, 1, 3},   {2, 1, 1, {1, 9, 7}, {0, 2, 2}, 1, 0},
    {1, 2, 2, {1, 1, 40}, {0, 1, 2}, 1, 0},    {1, 4, 5, {1, 6, 11}, {0, 0, 1}, 1, 0},
    {1, 1, 1, {1, 75, 91}, {0, 1, 1}, 1, 0},   {3, 3, 5, {1, 34, 45}, {0, 2, 0}, 1, 9},
    {2, 2, 9, {1, 31, 50}, {0, 1, 1}, 1, 0},   {1, 2, 1, {5, 9, 10}, {0, 1, 1}, 1, 0},
    {1, 2, 1, {5, 9, 10}, {1, 1, 1}, 3, 0},    {3, 1, 2, {3, 6, 5}, {0, 0, 1}, 3, 7},
    {2, 1, 1, {4, 3, 18}, {2, 2, 1}, 3, 0},    {2, 2, 2, {1, 5, 5}, {1, 1, 1}, 3, 0},
    {3, 1, 2, {6, 14, 22}, {1, 1, 1}, 3, 2},
};

/* Parts of channels, with channels in sixteens; only some weights are looked at. */
static const test_case wide_cases[] = {
    {2, 45, 43, {1, 28, 32}, {0, 1, 1}, 1, 0}, /* one group, parts of input channels */
    {2, 19, 17, {1, 34, 36}, {0, 1, 1}, 1, 0}, /* several groups, parts of input channels */
    {2, 17, 19, {1, 34, 36}, {0, 1, 1}, 1, 0}, /* of output channels */
};

static void check(bool good, const test_case *c, const char *what, double figure) {
  if (good) {
    passed++;
    return;
  }
  failed++;
  printf("FAILED %s (%g): n %d ci %d co %d in %d %d %d padding %d %d %d depth %d gap %d\n", what, figure, (int)c->n,
         (int)c->ci, (int)c->co, (int)c->in[0], (int)c->in[1], (int)c->in[2], (int)c->padding[0], (int)c->padding[1],
         (int)c->padding[2], (int)c->depth, (int)c->gap);
}

static ln_conv_geometry geometry_of(const test_case *c, int64_t unit) {
  ln_conv_geometry g = {.n = c->n, .groups = 1, .ci = c->ci * unit, .co = c->co * unit, .kernel = {c->depth, 3, 3}};
  for (int i = 0; i < LN_SPATIAL; i++) {
    g.in[i] = c->in[i], g.padding[i] = c->padding[i], g.stride[i] = g.dilation[i] = 1;
    g.out[i] = g.in[i] + 2 * g.padding[i] - g.kernel[i] + 1;
  }
  return g;
}

/* -- the reference: one weight */

typedef struct operands {
  const ln_conv_geometry *g;
  const float *src, *dst;
  ln_conv_images images;
  int64_t lanes;
} operands;

/* The rows of one channel of one image. */
static const float *row_of(const float *data, int64_t image, const int64_t size[LN_SPATIAL], int64_t lanes, int64_t n,
                           int64_t c, int64_t d, int64_t h) {
  return data + n * image + (((c / lanes * size[0] + d) * size[1] + h) * size[2]) * lanes + c % lanes;
}

#define WEIGHT(type, name)                                                                                    \
  static type name(const operands *o, int64_t co, int64_t ci, const int64_t tap[LN_SPATIAL]) {                \
    const ln_conv_geometry *g = o->g;                                                                         \
    type sum = 0;                                                                                             \
    for (int64_t n = 0; n < g->n; n++)                                                                        \
      for (int64_t d = 0; d < g->out[0]; d++)                                                                 \
        for (int64_t h = 0; h < g->out[1]; h++) {                                                             \
          const int64_t sd = d + tap[0] - g->padding[0], sh = h + tap[1] - g->padding[1];                     \
          if (sd < 0 || sd >= g->in[0] || sh < 0 || sh >= g->in[1]) continue;                                 \
          const float *dst = row_of(o->dst, o->images.dst_image, g->out, o->lanes, n, co, d, h);              \
          const float *src = row_of(o->src, o->images.src_image, g->in, o->lanes, n, ci, sd, sh);             \
          type line = 0;                                                                                      \
          for (int64_t w = 0; w < g->out[2]; w++) {                                                           \
            const int64_t sw = w + tap[2] - g->padding[2];                                                    \
            if (sw >= 0 && sw < g->in[2]) line += (type)dst[w * o->lanes] * (type)src[sw * o->lanes];         \
          }                                                                                                   \
          sum += line;                                                                                        \
        }                                                                                                     \
    return sum;                                                                                               \
  }
WEIGHT(double, exact_weight)
WEIGHT(float, single_weight)

/* Relative errors of `weights` and of the loops in single precision; every `step`th channel. */
static void errors(const operands *o, const float *weights, int64_t step, double *winograd, double *direct) {
  const ln_conv_geometry *g = o->g;
  double norm = 0, ours = 0, theirs = 0;
  for (int64_t co = 0; co < g->co; co += step)
    for (int64_t i = 0; i < g->ci * ln_conv_volume(g->kernel); i++) {
      if (i / 9 / g->kernel[0] % step != 0) continue;
      const int64_t tap[] = {i / 9 % g->kernel[0], i / 3 % 3, i % 3}, ci = i / 9 / g->kernel[0];
      const double exact = exact_weight(o, co, ci, tap);
      const double a = weights[co * g->ci * ln_conv_volume(g->kernel) + i] - exact, b = single_weight(o, co, ci, tap) - exact;
      norm += exact * exact, ours += a * a, theirs += b * b;
    }
  *winograd = sqrt(norm > 0 ? ours / norm : ours);
  *direct = sqrt(norm > 0 ? theirs / norm : theirs);
}

/* -- one geometry */

static void run_with(ln_cpu cpu, int threads, bool deterministic, const operands *o, float *weights, const test_case *c) {
  cpu.threads = threads, cpu.deterministic = deterministic;
  const size_t bytes = ln_wino_grad_workspace(&cpu, o->g);
  check(bytes <= 24u << 20, c, "has a bounded workspace", (double)bytes);
  unsigned char *workspace = watched_workspace(bytes);
  const ln_conv_tensors t = {.src = (float *)o->src, .dst = (float *)o->dst, .weights = weights};
  ln_wino_grad_run(&cpu, o->g, &t, &o->images, workspace);
  check(stayed_within(workspace, bytes), c, "stays in its workspace", 0);
  ln_free(&mem, workspace);
}

static void run_case(const ln_cpu *cpu, const test_case *c, int64_t unit, int64_t step) {
  const int64_t lanes = cpu->kerns->lanes;
  const ln_conv_geometry g = geometry_of(c, unit);
  const int64_t src_size = g.ci * ln_conv_volume(g.in), dst_size = g.co * ln_conv_volume(g.out);
  operands o = {.g = &g, .images = {src_size + c->gap * lanes, dst_size + c->gap * lanes}, .lanes = lanes};
  float *src = draw_images(g.n, src_size, o.images.src_image, 1), *dst = draw_images(g.n, dst_size, o.images.dst_image, 2);
  o.src = src, o.dst = dst;
  check(ln_wino_grad_can(cpu, &g), c, "is accepted", 0);
  enum { RUNS = 5 };
  static const struct { int threads; bool deterministic; } runs[RUNS] = {{1, false}, {1, true}, {2, true}, {3, true}, {5, false}};
  const size_t bytes = sizeof(float) * (size_t)(g.co * g.ci * ln_conv_volume(g.kernel));
  float *first = fresh(bytes), *other = fresh(bytes);
  run_with(*cpu, runs[0].threads, runs[0].deterministic, &o, first, c);
  double winograd, direct;
  errors(&o, first, step, &winograd, &direct);
  check(winograd <= 8 * direct, c, "is at most 8 times as wrong as the direct sums", winograd / direct);
  check(winograd < 2e-6, c, "equals the reference", winograd);
  for (int i = 1; i < RUNS; i++) {
    memset(other, 0xff, bytes);
    run_with(*cpu, runs[i].threads, runs[i].deterministic, &o, other, c);
    check(memcmp(first, other, bytes) == 0, c, "has the same bits for any thread count", runs[i].threads);
  }
  ln_free(&mem, first), ln_free(&mem, other), ln_free(&mem, src), ln_free(&mem, dst);
}

static void run_refusals(const ln_cpu *cpu) {
  const test_case c = {1, 1, 1, {3, 8, 8}, {1, 1, 1}, 3, 0};
  const ln_conv_geometry good = geometry_of(&c, cpu->kerns->lanes);
  check(ln_wino_grad_can(cpu, &good), &c, "is accepted", 0);
  for (int i = 0; i < 7; i++) {
    ln_conv_geometry g = good;
    switch (i) {
      case 0: g.stride[2] = 2; break;
      case 1: g.dilation[1] = 2; break;
      case 2: g.groups = 2; break;
      case 3: g.ci += 1; break;
      case 4: g.co -= 1; break;
      case 5: g.kernel[1] = 5; break;
      default: g.padding[2] = 3; break;
    }
    check(!ln_wino_grad_can(cpu, &g), &c, "refuses another geometry", i);
  }
}

static bool small;

/* Cases of many channels take the plain instruction set too long. */
static void run_all(const ln_cpu *cpu, int isa) {
  const bool wide = isa > 0 && !small;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) run_case(cpu, &cases[i], cpu->lanes, 1);
  for (size_t i = 0; wide && i < sizeof wide_cases / sizeof *wide_cases; i++) run_case(cpu, &wide_cases[i], 16, 11);
  run_refusals(cpu);
}

int main(int argc, char **argv) {
  small = argc > 1 && strcmp(argv[1], "small") == 0;
  return run_isas(false, run_all);
}
