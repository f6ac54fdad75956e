/* pool_grad.c: the gradient of max_pool, alone and added to another. The op knows the indices, not the windows:
 * where every index turns out to lie in its output's own window of 2 x 2, rows of gx are written
 * in order; else planes are cleared and filled, each by one thread.
 */
#include "layer_kern.h"
#include "planes.h"
#include "workspace.h"

#include <omp.h>
#include <string.h>

typedef struct unpool_job {
  const ln_pool_kerns *kerns; /* blocked; NULL: plain */
  const ln_map_spans *spans;
  ln_images gx, other, gy;    /* other.data: NULL, or added, and may be gx */
  ln_images index;
  int64_t planes, lanes;      /* planes of an image */
  float *sums;                /* stored as bf16: a plane a thread, as floats; else NULL */
  int64_t big[3], small[3];   /* of a plane of gx, of gy */
  int outside, beside;        /* is an index outside the plane, outside its window? */
} unpool_job;

static int64_t volume(const int64_t size[3]) { return size[0] * size[1] * size[2]; }

/* A unit: a row of gy in the blocked layout, a plane else. */
typedef struct unit {
  int64_t n, plane, d, h;
} unit;

static unit row_at(const unpool_job *j, int64_t u) {
  const int64_t rows = j->small[0] * j->small[1], row = u % rows;
  return (unit){u / rows / j->planes, u / rows % j->planes, row / j->small[1], row % j->small[1]};
}

static unit plane_at(const unpool_job *j, int64_t u) { return (unit){u / j->planes, u % j->planes, 0, 0}; }

/* A tensor at the row's or plane's begin; step: rows of it for one of gy. */
static void *place(const unpool_job *j, const unit *u, ln_images t, const int64_t size[3], int64_t step) {
  return ln_image_at(t, u->n, (u->plane * volume(size) + (u->d * size[1] + step * u->h) * size[2]) * j->lanes);
}

/* -- looking at the indices */

static void look_range(void *arg, int64_t begin, int64_t end) {
  unpool_job *j = arg;
  int outside = 0, beside = 0;
  for (int64_t i = begin; i < end; i++) {
    const unit u = row_at(j, i);
    bool out, off;
    j->kerns->pool_look(place(j, &u, j->index, j->small, 1), j->small[2], (int32_t)volume(j->big),
                        (int32_t)((u.d * j->big[1] + 2 * u.h) * j->big[2]), (int32_t)j->big[2], &out, &off);
    outside |= out, beside |= off;
  }
  if (outside) __atomic_store_n(&j->outside, 1, __ATOMIC_RELAXED);
  if (beside) __atomic_store_n(&j->beside, 1, __ATOMIC_RELAXED);
}

static void bounds_range(void *arg, int64_t begin, int64_t end) {
  unpool_job *j = arg;
  const uint32_t limit = (uint32_t)volume(j->big);
  const int32_t *index = ln_image_at(j->index, 0, 0);
  int outside = 0;
  for (int64_t i = begin; i < end; i++) outside |= (uint32_t)index[i] >= limit;
  if (outside) __atomic_store_n(&j->outside, 1, __ATOMIC_RELAXED);
}

/* -- filling gx */

/* Elements that are only cleared, or only those of other. */
static void lay(const unpool_job *j, void *gx, const void *other, int64_t n) {
  if (other == NULL) memset(gx, 0, (size_t)(n * j->gx.size));
  else if (other != gx) memcpy(gx, other, (size_t)(n * j->gx.size));
}

static void fill_plane(const unpool_job *j, float *gx, const void *gy, const int32_t *index) {
  const int64_t count = volume(j->small);
  const float *from = gy; /* unless the kernels read it */
  if (j->kerns) j->kerns->scatter(gx, gy, index, count);
  else for (int64_t k = 0; k < count; k++) gx[index[k]] += from[k];
}

static void plane_range(void *arg, int64_t begin, int64_t end) {
  const unpool_job *j = arg;
  const int64_t all = volume(j->big) * j->lanes;
  for (int64_t i = begin; i < end; i++) {
    const unit u = plane_at(j, i);
    void *gx = place(j, &u, j->gx, j->big, 0);
    const void *other = place(j, &u, j->other, j->big, 0), *gy = place(j, &u, j->gy, j->small, 0);
    const int32_t *index = place(j, &u, j->index, j->small, 0);
    if (j->sums == NULL) {
      lay(j, gx, other, all);
      fill_plane(j, gx, gy, index);
      continue;
    }
    float *sums = j->sums + omp_get_thread_num() * all;
    if (other != NULL) j->spans->from_bf16(sums, other, all);
    else memset(sums, 0, (size_t)all * sizeof *sums);
    fill_plane(j, sums, gy, index);
    j->spans->to_bf16(gx, sums, all);
  }
}

/* Two rows of gx, the column that odd widths leave over, and the rows that odd heights do. */
static void row_range(void *arg, int64_t begin, int64_t end) {
  const unpool_job *j = arg;
  const int64_t width = j->big[2] * j->lanes, used = 2 * j->small[2] * j->lanes;
  for (int64_t i = begin; i < end; i++) {
    const unit u = row_at(j, i);
    char *gx = place(j, &u, j->gx, j->big, 2);
    const char *other = place(j, &u, j->other, j->big, 2);
    j->kerns->unpool_2x2(gx, other, place(j, &u, j->gy, j->small, 1), place(j, &u, j->index, j->small, 1), j->big[2],
                         j->small[2], (int32_t)((u.d * j->big[1] + 2 * u.h) * j->big[2]));
    const int64_t rows = u.h + 1 < j->small[1] ? 2 : j->big[1] - 2 * u.h;
    for (int64_t r = 0; r < rows; r++) {
      const int64_t from = r * width + (r < 2 ? used : 0), to = (r + 1) * width, skip = from * j->gx.size;
      if (to > from) lay(j, gx + skip, other ? other + skip : NULL, to - from);
    }
  }
}

static void set_sizes(unpool_job *j, const ln_meta *big, const ln_meta *small) {
  for (int i = 0; i < 3; i++) {
    const int d = i + big->rank - 3;
    j->big[i] = d < 2 ? 1 : big->dim[d];
    j->small[i] = d < 2 ? 1 : small->dim[d];
  }
}

/* Looks at every index; whether rows can be written in order. */
static bool look(ln_cpu *cpu, unpool_job *j, int64_t n) {
  const int64_t rows = n * j->planes * j->small[0] * j->small[1], cost = j->small[2] * j->lanes;
  if (j->kerns) ln_cpu_for(cpu, rows, LN_BLOCK / cost + 1, cost, look_range, j);
  else ln_cpu_for(cpu, rows * j->small[2], LN_BLOCK, 1, bounds_range, j);
  return j->kerns != NULL && !j->beside && j->big[0] == j->small[0] && j->big[1] >= 2 * j->small[1] &&
         j->big[2] >= 2 * j->small[2];
}

/* gy is input `first`, the indices are the next one. */
static ln_code unpool(ln_cpu *cpu, ln_call *call, const ln_arg *other, int first) {
  const ln_arg *gy = &call->in[first], *gx = &call->out[0];
  const bool blocked = gx->layout == LN_BLOCKED;
  const int64_t n = gx->meta.dim[0];
  if (gx->numel == 0) return LN_OK;
  unpool_job j = {.kerns = blocked ? cpu->kerns->layer[ln_is_bf16(gx)]->pool : NULL, .spans = cpu->spans->map,
                  .gx = ln_images_of(gx), .gy = ln_images_of(gy), .index = ln_images_of(&call->in[first + 1]),
                  .lanes = blocked ? cpu->lanes : 1, .sums = ln_is_bf16(gx) ? call->workspace : NULL};
  if (other) j.other = ln_images_of(other);
  j.planes = gx->meta.dim[1] / j.lanes;
  set_sizes(&j, &gx->meta, &gy->meta);
  const bool rows = look(cpu, &j, n);
  if (j.outside)
    return ln_fail(call->err, LN_EINVAL, "an index lies outside the spatial volume of %lld elements", (long long)volume(j.big));
  const int64_t cost = (rows ? 2 * j.big[2] : volume(j.big)) * j.lanes;
  ln_cpu_for(cpu, n * j.planes * (rows ? j.small[0] * j.small[1] : 1), LN_BLOCK / cost + 1, cost,
             rows ? row_range : plane_range, &j);
  return LN_OK;
}

size_t ln_cpu_max_pool_grad_workspace(const ln_cpu *cpu, const ln_call *call) {
  const ln_arg *gx = &call->out[0];
  if (!ln_is_bf16(gx) || gx->numel == 0) return 0;
  const int64_t plane = gx->numel / gx->meta.dim[0] / gx->meta.dim[1] * cpu->lanes;
  return (size_t)(cpu->threads * plane) * sizeof(float);
}

ln_code ln_cpu_max_pool_grad(ln_cpu *cpu, ln_call *call) { return unpool(cpu, call, NULL, 0); }
ln_code ln_cpu_max_pool_grad_add(ln_cpu *cpu, ln_call *call) { return unpool(cpu, call, &call->in[0], 1); }
