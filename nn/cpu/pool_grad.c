/* pool_grad.c: the gradient of max_pool, alone and added to another. The op knows the indices, not the windows:
 * where every index turns out to lie in its output's own window of 2 x 2, rows of gx are written
 * in order; else planes are cleared and filled, each by one thread.
 */
#include "unpool.h"
#include "workspace.h"

#include <omp.h>
#include <string.h>

typedef struct unpool_job {
  ln_unpool u;
  const ln_map_spans *spans;
  ln_images gx;             /* may be u.other */
  float *sums;              /* stored as bf16: a plane a thread, as floats; else NULL */
  int outside, beside;      /* is an index outside the plane, outside its window? */
} unpool_job;

static int64_t volume(const int64_t size[3]) { return size[0] * size[1] * size[2]; }

/* Where a plane's row begins in a tensor of planes of this size. */
static void *place(const ln_unpool *u, ln_images t, const int64_t size[3], int64_t n, int64_t plane, int64_t row) {
  return ln_image_at(t, n, (plane * volume(size) + row * size[2]) * u->lanes);
}

/* -- looking at the indices */

/* Unit: a row of gy. */
static void look_range(void *arg, int64_t begin, int64_t end) {
  unpool_job *j = arg;
  const ln_unpool *u = &j->u;
  const int64_t rows = u->small[0] * u->small[1];
  int outside = 0, beside = 0;
  for (int64_t i = begin; i < end; i++) {
    const int64_t plane = i / rows, row = i % rows, d = row / u->small[1], h = row % u->small[1];
    bool out, off;
    u->kerns->pool_look(place(u, u->index, u->small, plane / u->planes, plane % u->planes, row), u->small[2], (int32_t)volume(u->big),
                        (int32_t)((d * u->big[1] + 2 * h) * u->big[2]), (int32_t)u->big[2], &out, &off);
    outside |= out, beside |= off;
  }
  if (outside) __atomic_store_n(&j->outside, 1, __ATOMIC_RELAXED);
  if (beside) __atomic_store_n(&j->beside, 1, __ATOMIC_RELAXED);
}

static void bounds_range(void *arg, int64_t begin, int64_t end) {
  unpool_job *j = arg;
  const uint32_t limit = (uint32_t)volume(j->u.big);
  const int32_t *index = ln_image_at(j->u.index, 0, 0);
  int outside = 0;
  for (int64_t i = begin; i < end; i++) outside |= (uint32_t)index[i] >= limit;
  if (outside) __atomic_store_n(&j->outside, 1, __ATOMIC_RELAXED);
}

static void set_sizes(ln_unpool *u, const ln_meta *big, const ln_meta *small) {
  for (int i = 0; i < 3; i++) {
    const int d = i + big->rank - 3;
    u->big[i] = d < 2 ? 1 : big->dim[d];
    u->small[i] = d < 2 ? 1 : small->dim[d];
  }
}

ln_code ln_unpool_open(ln_cpu *cpu, ln_unpool *u, const ln_arg *gx, const ln_arg *other, const ln_arg *gy, const ln_arg *indices,
                       ln_error *err) {
  const bool blocked = gx->layout == LN_BLOCKED;
  *u = (ln_unpool){.kerns = blocked ? cpu->kerns->layer[ln_is_bf16(gx)]->pool : NULL, .gy = ln_images_of(gy),
                   .index = ln_images_of(indices), .size = (int64_t)ln_dtype_size(gx->meta.dtype), .lanes = blocked ? cpu->lanes : 1};
  if (other) u->other = ln_images_of(other);
  u->planes = gx->meta.dim[1] / u->lanes;
  set_sizes(u, &gx->meta, &gy->meta);
  unpool_job j = {.u = *u};
  const int64_t rows = gx->meta.dim[0] * u->planes * u->small[0] * u->small[1], cost = u->small[2] * u->lanes;
  if (blocked) ln_cpu_for(cpu, rows, LN_BLOCK / (cost + 1) + 1, cost, look_range, &j);
  else ln_cpu_for(cpu, rows * u->small[2], LN_BLOCK, 1, bounds_range, &j);
  if (j.outside)
    return ln_fail(err, LN_EINVAL, "an index lies outside the spatial volume of %lld elements", (long long)volume(u->big));
  u->by_rows = blocked && !j.beside && u->big[0] == u->small[0] && u->big[1] >= 2 * u->small[1] && u->big[2] >= 2 * u->small[2];
  return LN_OK;
}

/* -- filling gx */

/* Elements that are only cleared, or only those of other. */
static void lay(const ln_unpool *u, void *gx, const void *other, int64_t n) {
  if (other == NULL) memset(gx, 0, (size_t)(n * u->size));
  else if (other != gx) memcpy(gx, other, (size_t)(n * u->size));
}

void ln_unpool_pair(const ln_unpool *u, int64_t n, int64_t plane, int64_t pair, void *to) {
  const int64_t halves = ln_unpool_halves(u), d = pair / halves, h = pair % halves, row = d * u->big[1] + 2 * h;
  const int64_t rows = 2 * h + 1 < u->big[1] ? 2 : 1, width = u->big[2] * u->lanes;
  const char *other = place(u, u->other, u->big, n, plane, row);
  int64_t used = 0;
  if (h < u->small[1]) {
    const int64_t from = d * u->small[1] + h;
    u->kerns->unpool_2x2(to, other, place(u, u->gy, u->small, n, plane, from), place(u, u->index, u->small, n, plane, from),
                         u->big[2], u->small[2], (int32_t)(row * u->big[2]));
    used = 2 * u->small[2] * u->lanes;
  }
  for (int64_t r = 0; r < rows && used < width; r++) { /* the columns that odd widths leave over, or all */
    const int64_t skip = (r * width + used) * u->size;
    lay(u, (char *)to + skip, other ? other + skip : NULL, width - used);
  }
}

static void pair_range(void *arg, int64_t begin, int64_t end) {
  const unpool_job *j = arg;
  const ln_unpool *u = &j->u;
  const int64_t pairs = ln_unpool_pairs(u), halves = ln_unpool_halves(u);
  for (int64_t i = begin; i < end; i++) {
    const int64_t n = i / pairs / u->planes, plane = i / pairs % u->planes, pair = i % pairs;
    ln_unpool_pair(u, n, plane, pair, place(u, j->gx, u->big, n, plane, pair / halves * u->big[1] + pair % halves * 2));
  }
}

static void fill_plane(const ln_unpool *u, float *gx, const void *gy, const int32_t *index) {
  const int64_t count = volume(u->small);
  const float *from = gy; /* unless the kernels read it */
  if (u->kerns) u->kerns->scatter(gx, gy, index, count);
  else for (int64_t k = 0; k < count; k++) gx[index[k]] += from[k];
}

static void plane_range(void *arg, int64_t begin, int64_t end) {
  const unpool_job *j = arg;
  const ln_unpool *u = &j->u;
  const int64_t all = volume(u->big) * u->lanes;
  for (int64_t i = begin; i < end; i++) {
    const int64_t n = i / u->planes, plane = i % u->planes;
    void *gx = place(u, j->gx, u->big, n, plane, 0);
    const void *other = place(u, u->other, u->big, n, plane, 0), *gy = place(u, u->gy, u->small, n, plane, 0);
    const int32_t *index = place(u, u->index, u->small, n, plane, 0);
    if (j->sums == NULL) {
      lay(u, gx, other, all);
      fill_plane(u, gx, gy, index);
      continue;
    }
    float *sums = j->sums + omp_get_thread_num() * all;
    if (other != NULL) j->spans->from_bf16(sums, other, all);
    else memset(sums, 0, (size_t)all * sizeof *sums);
    fill_plane(u, sums, gy, index);
    j->spans->to_bf16(gx, sums, all);
  }
}

void ln_unpool_fill(ln_cpu *cpu, const ln_unpool *u, const ln_arg *gx, void *workspace) {
  unpool_job j = {.u = *u, .spans = cpu->spans->map, .gx = ln_images_of(gx), .sums = ln_is_bf16(gx) ? workspace : NULL};
  const int64_t planes = gx->meta.dim[0] * u->planes;
  const int64_t cost = (u->by_rows ? 2 * u->big[2] : volume(u->big)) * u->lanes;
  ln_cpu_for(cpu, u->by_rows ? planes * ln_unpool_pairs(u) : planes, LN_BLOCK / cost + 1, cost,
             u->by_rows ? pair_range : plane_range, &j);
}

/* gy is input `first`, the indices are the next one. */
static ln_code unpool(ln_cpu *cpu, ln_call *call, const ln_arg *other, int first) {
  const ln_arg *gx = &call->out[0];
  ln_unpool u;
  if (gx->numel == 0) return LN_OK;
  const ln_code code = ln_unpool_open(cpu, &u, gx, other, &call->in[first], &call->in[first + 1], call->err);
  if (code == LN_OK) ln_unpool_fill(cpu, &u, gx, call->workspace);
  return code;
}

size_t ln_cpu_max_pool_grad_workspace(const ln_cpu *cpu, const ln_call *call) {
  const ln_arg *gx = &call->out[0];
  if (!ln_is_bf16(gx) || gx->numel == 0) return 0;
  const int64_t plane = gx->numel / gx->meta.dim[0] / gx->meta.dim[1] * cpu->lanes;
  return (size_t)(cpu->threads * plane) * sizeof(float);
}

ln_code ln_cpu_max_pool_grad(ln_cpu *cpu, ln_call *call) { return unpool(cpu, call, NULL, 0); }
ln_code ln_cpu_max_pool_grad_add(ln_cpu *cpu, ln_call *call) { return unpool(cpu, call, &call->in[0], 1); }
