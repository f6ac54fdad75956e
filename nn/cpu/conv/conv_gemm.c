/* conv_gemm.c: convolutions as matrix products (im2col).
 *
 * The method for windows that do not overlap (1x1, and 2x2 with stride 2, where the
 * columns are a permutation of the tensor and nothing is computed twice), and the
 * fallback for every geometry that oneDNN has no fast primitive for.
 *
 * Work is cut over images, groups and chunks of output positions where these write different
 * elements, over channels where they would add into the same ones. A task's products run
 * in one thread in a fixed order. In deterministic mode the cuts depend on the shape alone,
 * so the bits do not depend on the number of threads.
 */
#include <omp.h>
#include <string.h>

#include "conv.h"
#include "../libraries.h"

enum {
  COLUMN_FLOATS = 1 << 17,         /* a chunk's columns: 512 KB, about the L2 cache */
  MIN_CHUNK = 64, MAX_CHUNK = 4096, /* positions */
  MIN_ROWS = 64, MAX_ROWS = 288,   /* of a product: with fewer packing shows, with more chunks get short */
  TASKS_PER_THREAD = 4,
  FIXED_TASKS = 32                 /* wanted in deterministic mode, whatever the threads */
};

typedef struct job {
  const ln_conv_geometry *g;
  const ln_blas *blas;
  ln_conv_tensors t;
  float *columns;         /* one buffer of column_floats a thread */
  size_t column_floats;
  bool pointwise;         /* 1x1, stride 1: the tensor is its own columns */
  bool whole;             /* tasks are chunks with all channels of a group */
  int64_t m, kk, k;       /* output channels of a group; kernel elements; rows of all columns of a group */
  int64_t cg;             /* input channels of a group */
  int64_t positions, plane, chunk, chunks;
  int64_t cblock, cblocks, mblock, mblocks;
} job;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }

static bool no_padding(const ln_conv_geometry *g) {
  return g->padding[0] == 0 && g->padding[1] == 0 && g->padding[2] == 0;
}

bool ln_conv_tiles(const ln_conv_geometry *g) {
  for (int i = 0; i < LN_SPATIAL; i++) {
    bool dense = g->kernel[i] == 1 || g->dilation[i] == 1;
    if (!dense || g->kernel[i] != g->stride[i] || g->in[i] != g->out[i] * g->kernel[i]) return false;
  }
  return no_padding(g);
}

/* Channels [0, all) in blocks so that `tasks` of them come out, but of `least` to `most` channels. */
static int64_t block_of(int64_t all, int64_t tasks, int64_t least, int64_t most) {
  return at_most(at_least(at_most(ceil_div(all, tasks), most), at_least(least, 1)), at_least(all, 1));
}

static job job_of(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  job j = {.g = g, .blas = &ln_cpu_libraries(cpu)->blas};
  j.cg = g->ci / g->groups;
  j.m = g->co / g->groups;
  j.kk = ln_conv_volume(g->kernel);
  j.k = j.cg * j.kk;
  j.positions = ln_conv_volume(g->out);
  j.plane = ln_conv_volume(g->in);
  j.pointwise = j.kk == 1 && ln_conv_tiles(g);
  j.whole = dir == LN_CONV_FORWARD || (dir == LN_CONV_BACKWARD_DATA && ln_conv_tiles(g));

  int64_t tasks = ceil_div(cpu->deterministic ? FIXED_TASKS : TASKS_PER_THREAD * cpu->threads, g->groups);
  /* A thin other side leaves memory traffic as the cost, and smaller blocks are as good. */
  int64_t rows = j.m >= 16 ? MIN_ROWS : 8;
  j.cblock = j.whole ? j.cg : block_of(j.cg, tasks, ceil_div(rows, j.kk), MAX_ROWS / j.kk);
  j.cblocks = ceil_div(j.cg, j.cblock);
  bool cut = dir == LN_CONV_BACKWARD_WEIGHTS && j.cblocks < tasks;
  int64_t least = j.cblock * j.kk < MIN_ROWS ? 16 : MIN_ROWS;
  j.mblock = cut ? block_of(j.m, ceil_div(tasks, j.cblocks), least, j.m) : j.m;
  j.mblocks = ceil_div(j.m, j.mblock);

  j.chunk = at_most(at_least(COLUMN_FLOATS / (j.cblock * j.kk), MIN_CHUNK), MAX_CHUNK);
  j.chunk = at_most(j.chunk, j.positions);
  j.chunks = ceil_div(j.positions, j.chunk);
  j.column_floats = j.pointwise ? 0 : ln_cpu_align((size_t)(j.cblock * j.kk * j.chunk) * sizeof(float)) / sizeof(float);
  return j;
}

size_t ln_conv_gemm_workspace(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir) {
  return job_of(cpu, g, dir).column_floats * sizeof(float) * (size_t)cpu->threads;
}

static float *columns_of_thread(const job *j) {
  return j->columns + (size_t)omp_get_thread_num() * j->column_floats;
}

static float *src_of(const job *j, int64_t n, int64_t group, int64_t c) {
  return (float *)j->t.src + (n * j->g->ci + group * j->cg + c) * j->plane;
}

static float *dst_of(const job *j, int64_t n, int64_t group, int64_t m) {
  return (float *)j->t.dst + (n * j->g->co + group * j->m + m) * j->positions;
}

static void fill(float *to, int64_t length, float value) {
  for (int64_t i = 0; i < length; i++) to[i] = value;
}

/* Columns of `channels` channels from c on: gathered, or the tensor itself. */
static ln_matrix columns_at(const job *j, int64_t n, int64_t group, int64_t c, int64_t channels, int64_t p0,
                            int64_t p1) {
  const float *src = src_of(j, n, group, c);
  if (j->pointwise) return (ln_matrix){src + p0, j->plane, false};
  float *columns = columns_of_thread(j);
  ln_conv_gather(j->g, src, channels, p0, p1, columns, p1 - p0);
  return (ln_matrix){columns, p1 - p0, false};
}

static void forward_chunk(const job *j, int64_t task) {
  int64_t p0 = task % j->chunks * j->chunk, p1 = at_most(p0 + j->chunk, j->positions);
  int64_t group = task / j->chunks % j->g->groups, n = task / j->chunks / j->g->groups;
  float *dst = dst_of(j, n, group, 0) + p0;
  if (j->t.bias != NULL)
    for (int64_t m = 0; m < j->m; m++) fill(dst + m * j->positions, p1 - p0, j->t.bias[group * j->m + m]);
  ln_matrix weights = {j->t.weights + group * j->m * j->k, j->k, false};
  ln_blas_product(j->blas, j->m, p1 - p0, j->k, weights, columns_at(j, n, group, 0, j->cg, p0, p1),
                  j->t.bias != NULL ? 1.0f : 0.0f, dst, j->positions);
}

/* Windows that tile src: every chunk writes elements of its own. */
static void backward_data_tiles(const job *j, int64_t task) {
  int64_t p0 = task % j->chunks * j->chunk, p1 = at_most(p0 + j->chunk, j->positions);
  int64_t group = task / j->chunks % j->g->groups, n = task / j->chunks / j->g->groups;
  const float *bias = j->t.bias != NULL ? j->t.bias + group * j->cg : NULL;
  float *src = src_of(j, n, group, 0);
  ln_matrix weights = {j->t.weights + group * j->m * j->k, j->k, true};
  ln_matrix dst = {dst_of(j, n, group, 0) + p0, j->positions, false};
  if (j->pointwise) {
    if (bias != NULL)
      for (int64_t c = 0; c < j->cg; c++) fill(src + c * j->plane + p0, p1 - p0, bias[c]);
    ln_blas_product(j->blas, j->k, p1 - p0, j->m, weights, dst, bias != NULL ? 1.0f : 0.0f, src + p0, j->plane);
    return;
  }
  float *columns = columns_of_thread(j);
  ln_blas_product(j->blas, j->k, p1 - p0, j->m, weights, dst, 0.0f, columns, p1 - p0);
  ln_conv_scatter_tiles(j->g, columns, p1 - p0, j->cg, p0, p1, bias, src);
}

/* Windows that overlap or leave gaps: a task owns whole channels of src. */
static void backward_data_block(const job *j, int64_t task) {
  int64_t c0 = task % j->cblocks * j->cblock, channels = at_most(j->cblock, j->cg - c0);
  int64_t group = task / j->cblocks % j->g->groups, n = task / j->cblocks / j->g->groups;
  float *src = src_of(j, n, group, c0), *columns = columns_of_thread(j);
  for (int64_t c = 0; c < channels; c++)
    fill(src + c * j->plane, j->plane, j->t.bias != NULL ? j->t.bias[group * j->cg + c0 + c] : 0.0f);
  ln_matrix weights = {j->t.weights + group * j->m * j->k + c0 * j->kk, j->k, true};
  for (int64_t p0 = 0; p0 < j->positions; p0 += j->chunk) {
    int64_t p1 = at_most(p0 + j->chunk, j->positions);
    ln_matrix dst = {dst_of(j, n, group, 0) + p0, j->positions, false};
    ln_blas_product(j->blas, channels * j->kk, p1 - p0, j->m, weights, dst, 0.0f, columns, p1 - p0);
    ln_conv_scatter_add(j->g, columns, p1 - p0, channels, p0, p1, src);
  }
}

/* A task owns the weights between some output and some input channels. */
static void backward_weights_block(const job *j, int64_t task) {
  int64_t m0 = task % j->mblocks * j->mblock, m = at_most(j->mblock, j->m - m0);
  task /= j->mblocks;
  int64_t c0 = task % j->cblocks * j->cblock, channels = at_most(j->cblock, j->cg - c0);
  int64_t group = task / j->cblocks;
  float *weights = j->t.weights + (group * j->m + m0) * j->k + c0 * j->kk;
  float beta = 0.0f;
  for (int64_t n = 0; n < j->g->n; n++)
    for (int64_t p0 = 0; p0 < j->positions; p0 += j->chunk, beta = 1.0f) {
      int64_t p1 = at_most(p0 + j->chunk, j->positions);
      ln_matrix columns = columns_at(j, n, group, c0, channels, p0, p1);
      columns.transposed = true;
      ln_matrix dst = {dst_of(j, n, group, m0) + p0, j->positions, false};
      ln_blas_product(j->blas, m, channels * j->kk, p1 - p0, dst, columns, beta, weights, j->k);
    }
}

void ln_conv_gemm_run(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir,
                      const ln_conv_tensors *t, void *workspace) {
  job j = job_of(cpu, g, dir);
  j.t = *t;
  j.columns = workspace;
  void (*body)(const job *, int64_t) = forward_chunk;
  int64_t tasks = g->n * g->groups * j.chunks;
  if (dir == LN_CONV_BACKWARD_DATA && j.whole) {
    body = backward_data_tiles;
  } else if (dir == LN_CONV_BACKWARD_DATA) {
    body = backward_data_block;
    tasks = g->n * g->groups * j.cblocks;
  } else if (dir == LN_CONV_BACKWARD_WEIGHTS) {
    body = backward_weights_block;
    tasks = g->groups * j.cblocks * j.mblocks;
  }
  int threads = ln_blas_enter();
#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads)
  for (int64_t i = 0; i < tasks; i++) body(&j, i);
  ln_blas_leave(threads);
}
