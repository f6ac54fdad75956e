/* dropout.c: dropout by elements or by whole channels. Element i, or channel i, is kept when the
 * i-th uniform of the draw is >= p.
 */
#include "../base/rng.h"
#include "iter.h"
#include "span.h"

#include <string.h>

typedef struct drop_job {
  const ln_spans *spans;
  const ln_scalars *draw;
  const float *x;
  float *y;
  int64_t volume; /* of a channel */
  float factor;
} drop_job;

/* LN_BLOCK is a multiple of 4, so a block starts with a fresh Philox block. */
static void element_range(void *arg, int64_t begin, int64_t end) {
  const drop_job *j = arg;
  j->spans->step->dropout(j->y + begin, j->x + begin, end - begin, j->draw, begin, j->factor);
}

static void channel_range(void *arg, int64_t begin, int64_t end) {
  const drop_job *j = arg;
  for (int64_t i = begin; i < end; i++) {
    const float u = ln_uniform_at(j->draw->seed, j->draw->counter, (uint64_t)i);
    float *y = j->y + i * j->volume;
    if (u >= (float)j->draw->p) j->spans->map->scale(y, j->x + i * j->volume, j->volume, j->factor);
    else memset(y, 0, (size_t)j->volume * sizeof *y);
  }
}

ln_code ln_cpu_dropout(ln_cpu *cpu, ln_call *call) {
  drop_job j = {.spans = cpu->spans, .draw = call->scalars, .x = call->in[0].data, .y = call->out[0].data,
                .volume = 1, .factor = (float)(1.0 / (1.0 - call->scalars->p))};
  const ln_meta *x = &call->in[0].meta;
  if (!call->attrs->channelwise) {
    ln_cpu_for(cpu, call->in[0].numel, LN_BLOCK, 4, element_range, &j);
    return LN_OK;
  }
  for (int d = 2; d < x->rank; d++) j.volume *= x->dim[d];
  if (j.volume == 0) return LN_OK;
  ln_cpu_for(cpu, x->dim[0] * x->dim[1], LN_BLOCK / j.volume + 1, j.volume, channel_range, &j);
  return LN_OK;
}
