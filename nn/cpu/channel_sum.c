/* channel_sum.c: sums per channel (dim 2): what a bias' gradient is, alone for blocked tensors, and in
 * one pass with ReLU's gradient.
 */
#include "layer_kern.h"
#include "planes.h"
#include "workspace.h"

enum { PIECE = 32768, PART = 2048 };

typedef struct sum_job {
  const ln_spans *spans;
  const ln_norm_kerns *kerns; /* blocked; NULL: plain */
  ln_planes planes;
  ln_images x, y, gx;         /* what is added up (or gy), ReLU's output, its gradient */
  float *sum;
  double *sums;               /* `width` of each piece */
} sum_job;

size_t ln_cpu_channel_sum_workspace(const ln_cpu *cpu, const ln_call *call) {
  const ln_planes p = ln_planes_of(cpu, &call->in[0], PIECE);
  return (size_t)(ln_piece_count(&p) * p.width) * sizeof(double);
}

static void merge_range(void *arg, int64_t begin, int64_t end) {
  const sum_job *j = arg;
  for (int64_t c = begin * j->planes.width; c < end * j->planes.width; c++) {
    double sum;
    ln_channel_sums(&j->planes, j->sums, 1, c, &sum);
    j->sum[c] = (float)sum;
  }
}

static ln_code run(ln_cpu *cpu, ln_call *call, sum_job *j, ln_cpu_body body) {
  j->spans = cpu->spans;
  j->kerns = call->in[0].layout == LN_BLOCKED ? cpu->kerns->layer[ln_is_bf16(&call->in[0])]->norm : NULL;
  j->planes = ln_planes_of(cpu, &call->in[0], PIECE);
  j->x = ln_images_of(&call->in[0]);
  j->sums = call->workspace;
  ln_for_pieces(cpu, &j->planes, body, j);
  ln_for_planes(cpu, &j->planes, merge_range, j);
  return LN_OK;
}

static void sum_range(void *arg, int64_t begin, int64_t end) {
  const sum_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    const ln_piece p = ln_piece_at(&j->planes, u);
    j->kerns->sum(j->sums + u * j->planes.width, ln_piece_data(&j->planes, &p, j->x), p.length);
  }
}

/* sum over all dims but the channels, of a blocked tensor. */
ln_code ln_cpu_channel_sum(ln_cpu *cpu, ln_call *call) {
  sum_job j = {.sum = call->out[0].data};
  return run(cpu, call, &j, sum_range);
}

/* Parts of a plain row are added up while they are in the first-level cache. */
static void relu_plain(const sum_job *j, double *sum, float *gx, const float *gy, const float *y, int64_t n) {
  *sum = 0;
  for (int64_t i = 0; i < n; i += PART) {
    const int64_t count = n - i < PART ? n - i : PART;
    j->spans->map->map[LN_OP_relu_grad](gx + i, gy + i, y + i, NULL, count, 0);
    j->spans->reduce->sum_run(sum, gx + i, count);
  }
}

static void relu_range(void *arg, int64_t begin, int64_t end) {
  const sum_job *j = arg;
  for (int64_t u = begin; u < end; u++) {
    const ln_piece p = ln_piece_at(&j->planes, u);
    const void *gy = ln_piece_data(&j->planes, &p, j->x), *y = ln_piece_data(&j->planes, &p, j->y);
    void *gx = ln_piece_data(&j->planes, &p, j->gx);
    double *sums = j->sums + u * j->planes.width;
    if (j->kerns) j->kerns->relu_grad_sum(sums, gx, gy, y, p.length);
    else relu_plain(j, sums, gx, gy, y, p.length);
  }
}

ln_code ln_cpu_relu_grad_sum(ln_cpu *cpu, ln_call *call) {
  sum_job j = {.y = ln_images_of(&call->in[1]), .gx = ln_images_of(&call->out[0]), .sum = call->out[1].data};
  return run(cpu, call, &j, relu_range);
}
