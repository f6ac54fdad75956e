/* conv_direct.c: running oneDNN's convolutions (see conv_direct.h).
 *
 * Deterministic mode: weight gradients are made image by image, each by a primitive of one
 * thread, and summed in image order; oneDNN's own sum over images and rows depends on the
 * thread count. Its forward primitives split work over outputs only, and so do version 2's for data; version 3's
 * may sum in another order with more threads, and are run like those for weights.
 *
 * Images that lie apart: a primitive for one image is run on each, as oneDNN takes its reference loops for
 * memory with gaps. Weights are reordered once for all images.
 */
#include <omp.h>
#include <string.h>

#include "conv_direct.h"
#include "../libraries.h"

static int64_t weight_count(const ln_conv_geometry *g) {
  return g->co * (g->ci / g->groups) * ln_conv_volume(g->kernel);
}

static size_t weight_bytes(const ln_conv_geometry *g) { return ln_cpu_align((size_t)weight_count(g) * sizeof(float)); }

static int64_t src_count(const ln_conv_geometry *g) { return g->ci * ln_conv_volume(g->in); }
static int64_t dst_count(const ln_conv_geometry *g) { return g->co * ln_conv_volume(g->out); }

/* Must a primitive be made for one thread, so that its bits do not depend on their number? */
static bool one_thread_each(const ln_cpu *cpu, ln_conv_dir dir) {
  return cpu->deterministic && (dir == LN_CONV_BACKWARD_WEIGHTS || (dir == LN_CONV_BACKWARD_DATA && ln_dnnl_version() > 2));
}

static bool image_by_image(const ln_cpu *cpu, const ln_conv_direct *d, bool finish) {
  enum { HOT_FLOATS = 1 << 18 }; /* outputs from 1 MB on are gone from the second-level cache with the batch */
  const ln_conv_geometry *g = &d->g;
  bool dense = d->images.src_image == src_count(g) && d->images.dst_image == dst_count(g);
  if (!dense) return true;
  if (one_thread_each(cpu, d->dir)) return true;
  return d->dir != LN_CONV_BACKWARD_WEIGHTS && finish && g->n * (d->dir == LN_CONV_FORWARD ? dst_count(g) : src_count(g)) > HOT_FLOATS;
}

ln_code ln_conv_direct_new(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides,
                           bool bias, bool finish, ln_conv_direct *out, ln_error *err) {
  *out = (ln_conv_direct){.g = *g, .dir = dir, .images = sides->images, .lanes = 1};
  ln_conv_geometry made = *g;
  ln_dnnl_request request = {.g = &made, .dir = dir, .src = sides->src, .dst = sides->dst, .block = cpu->lanes,
                             .bias = bias && dir == LN_CONV_FORWARD, .threads = cpu->threads, .lanes = 1};
  out->each = image_by_image(cpu, out, finish);
  if (out->each) made.n = 1;
  if (one_thread_each(cpu, dir)) {
    request.lanes = out->lanes = g->n < cpu->threads ? (int)g->n : cpu->threads;
    request.threads = 1;
  }
  out->threads = request.threads;
  return ln_dnnl_conv_new(ln_cpu_libraries(cpu)->dnnl, &request, &out->dnnl, err);
}

void ln_conv_direct_free(ln_conv_direct *d) {
  ln_dnnl_conv_free(d->dnnl);
  d->dnnl = NULL;
}

size_t ln_conv_direct_workspace(const ln_conv_direct *d) {
  size_t own = ln_dnnl_conv_workspace(d->dnnl);
  bool parts = d->each && d->dir == LN_CONV_BACKWARD_WEIGHTS;
  return (size_t)d->lanes * (own + (parts ? weight_bytes(&d->g) : 0));
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

static ln_conv_tensors image_of(const ln_conv_direct *d, const ln_conv_tensors *t, int64_t n) {
  ln_conv_tensors one = *t;
  one.src = (float *)t->src + n * d->images.src_image;
  one.dst = (float *)t->dst + n * d->images.dst_image;
  return one;
}

/* Weight gradients image by image, `lanes` at a time. */
static int sum_images(const ln_cpu *cpu, const ln_conv_direct *d, const ln_conv_tensors *t, char *workspace) {
  size_t part = weight_bytes(&d->g), own = ln_dnnl_conv_workspace(d->dnnl);
  char *scratch = workspace + (size_t)d->lanes * part;
  int status = 0;
  for (int64_t n = 0; n < d->g.n && status == 0; n += d->lanes) {
    int64_t count = d->g.n - n < d->lanes ? d->g.n - n : d->lanes;
#pragma omp parallel for schedule(static, 1) num_threads(cpu->threads) reduction(max : status) if (d->lanes > 1)
    for (int64_t k = 0; k < count; k++) {
      ln_conv_tensors one = image_of(d, t, n + k);
      one.weights = (float *)(void *)(workspace + (size_t)k * part);
      int result = ln_dnnl_conv_run(d->dnnl, (int)k, &one, false, scratch + (size_t)k * own);
      if (result > status) status = result;
    }
    if (status == 0) add_in_order(cpu, t->weights, workspace, part, n, count, weight_count(&d->g));
  }
  return status;
}

static int run_images(const ln_conv_direct *d, const ln_conv_tensors *t, const ln_finish *f, void *workspace) {
  int status = 0;
  for (int64_t n = 0; n < d->g.n && status == 0; n++) {
    ln_conv_tensors one = image_of(d, t, n);
    status = ln_dnnl_conv_run(d->dnnl, 0, &one, n > 0, workspace);
    if (f != NULL) ln_finish_images(f, n, n + 1);
  }
  return status;
}

/* Images in threads of their own, each with its own reordered weights. */
static int run_lanes(const ln_cpu *cpu, const ln_conv_direct *d, const ln_conv_tensors *t, const ln_finish *f, char *workspace) {
  size_t own = ln_dnnl_conv_workspace(d->dnnl);
  int status = 0;
  for (int64_t n = 0; n < d->g.n && status == 0; n += d->lanes) {
    int64_t count = d->g.n - n < d->lanes ? d->g.n - n : d->lanes;
#pragma omp parallel for schedule(static, 1) num_threads(cpu->threads) reduction(max : status)
    for (int64_t k = 0; k < count; k++) {
      ln_conv_tensors one = image_of(d, t, n + k);
      int result = ln_dnnl_conv_run(d->dnnl, (int)k, &one, false, workspace + (size_t)k * own);
      if (result > status) status = result;
    }
  }
  if (f != NULL) ln_finish_images(f, 0, d->g.n);
  return status;
}

int ln_conv_direct_run(const ln_cpu *cpu, const ln_conv_direct *d, const ln_conv_tensors *t, const ln_finish *f,
                       void *workspace) {
  int status, before = omp_get_max_threads();
  omp_set_num_threads(d->threads);
  if (d->each && d->dir == LN_CONV_BACKWARD_WEIGHTS) {
    status = sum_images(cpu, d, t, workspace);
  } else if (d->lanes > 1) {
    status = run_lanes(cpu, d, t, f, workspace);
  } else if (d->each) {
    status = run_images(d, t, f, workspace);
  } else {
    status = ln_dnnl_conv_run(d->dnnl, 0, t, false, workspace);
    if (f != NULL) ln_finish_images(f, 0, d->g.n);
  }
  omp_set_num_threads(before);
  return status;
}
