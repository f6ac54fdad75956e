/* conv_direct.c: running oneDNN's convolutions (see conv_direct.h).
 *
 * Deterministic mode: weight gradients are made image by image, each by a primitive of one
 * thread, and summed in image order; oneDNN's own sum over images and rows depends on the
 * thread count. Its forward and data primitives split work over outputs only.
 */
#include <omp.h>
#include <string.h>

#include "conv_direct.h"
#include "libraries.h"

static int64_t weight_count(const ln_conv_geometry *g) {
  return g->co * (g->ci / g->groups) * ln_conv_volume(g->kernel);
}

static size_t weight_bytes(const ln_conv_geometry *g) { return ln_cpu_align((size_t)weight_count(g) * sizeof(float)); }

ln_code ln_conv_direct_new(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, bool bias, ln_conv_direct *out,
                           ln_error *err) {
  *out = (ln_conv_direct){.g = *g, .dir = dir};
  ln_conv_geometry made = *g;
  if (cpu->deterministic && dir == LN_CONV_BACKWARD_WEIGHTS) {
    out->lanes = g->n < cpu->threads ? (int)g->n : cpu->threads;
    made.n = 1;
  }
  return ln_dnnl_conv_new(ln_cpu_libraries(cpu)->dnnl, &made, dir, bias, out->lanes > 0 ? 1 : cpu->threads,
                          out->lanes > 0 ? out->lanes : 1, &out->dnnl, err);
}

void ln_conv_direct_free(ln_conv_direct *d) {
  ln_dnnl_conv_free(d->dnnl);
  d->dnnl = NULL;
}

size_t ln_conv_direct_workspace(const ln_conv_direct *d) {
  size_t own = ln_dnnl_conv_workspace(d->dnnl);
  return d->lanes > 0 ? (size_t)d->lanes * (own + weight_bytes(&d->g)) : own;
}

static void add_in_order(const ln_cpu *cpu, float *sum, const char *parts, size_t stride, int64_t first, int64_t count,
                         int64_t length) {
  enum { BLOCK = 4096 };
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
  for (int64_t begin = 0; begin < length; begin += BLOCK) {
    int64_t end = begin + BLOCK < length ? begin + BLOCK : length;
    for (int64_t k = 0; k < count; k++) {
      const float *part = (const float *)(const void *)(parts + (size_t)k * stride);
      if (first + k == 0)
        memcpy(sum + begin, part + begin, (size_t)(end - begin) * sizeof *sum);
      else
        for (int64_t i = begin; i < end; i++) sum[i] += part[i];
    }
  }
}

/* Weight gradients image by image (see the head of this file). */
static int run_images(const ln_cpu *cpu, const ln_conv_direct *d, const ln_conv_tensors *t, char *workspace) {
  const ln_conv_geometry *g = &d->g;
  size_t part = weight_bytes(g), own = ln_dnnl_conv_workspace(d->dnnl);
  char *scratch = workspace + (size_t)d->lanes * part;
  int64_t src = g->ci * ln_conv_volume(g->in), dst = g->co * ln_conv_volume(g->out);
  int status = 0;
  for (int64_t n = 0; n < g->n && status == 0; n += d->lanes) {
    int64_t count = g->n - n < d->lanes ? g->n - n : d->lanes;
#pragma omp parallel for schedule(static, 1) num_threads(cpu->threads) reduction(max : status)
    for (int64_t k = 0; k < count; k++) {
      ln_conv_tensors one = {.src = t->src + (n + k) * src, .dst = t->dst + (n + k) * dst};
      one.weights = (float *)(void *)(workspace + (size_t)k * part);
      int result = ln_dnnl_conv_run(d->dnnl, (int)k, &one, scratch + (size_t)k * own);
      if (result > status) status = result;
    }
    if (status == 0) add_in_order(cpu, t->weights, workspace, part, n, count, weight_count(g));
  }
  return status;
}

int ln_conv_direct_run(const ln_cpu *cpu, const ln_conv_direct *d, const ln_conv_tensors *t, void *workspace) {
  if (d->lanes > 0) return run_images(cpu, d, t, workspace);
  int before = omp_get_max_threads();
  omp_set_num_threads(cpu->threads);
  int status = ln_dnnl_conv_run(d->dnnl, 0, t, workspace);
  omp_set_num_threads(before);
  return status;
}
