/* conv_pairs_side.c: sides as grids of positions (see conv_pairs_side.h). */
#include "conv_pairs.h"
#include "conv_pairs_side.h"

bool ln_pairs_can(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides) {
  if (!sides->images.bf16 || sides->src != LN_BLOCKED || sides->dst != LN_BLOCKED || g->groups != 1) return false;
  if (g->ci % cpu->lanes != 0 || g->co % cpu->lanes != 0) return false;
  if (ln_conv_tiles(g)) return true;
  for (int i = 0; i < LN_SPATIAL; i++)
    if (g->stride[i] != 1 || g->padding[i] > (g->kernel[i] - 1) * g->dilation[i]) return false;
  return true;
}

ln_taps ln_taps_of(const ln_conv_geometry *g) {
  ln_taps t = {.windows = ln_conv_tiles(g), .count = 1};
  for (int i = 0; i < LN_SPATIAL; i++) {
    t.kernel[i] = t.windows ? 1 : g->kernel[i];
    t.padding[i] = t.windows ? 0 : g->padding[i];
    t.dilation[i] = t.windows ? 1 : g->dilation[i];
    t.count *= t.kernel[i];
  }
  return t;
}

int64_t ln_taps_position(const ln_taps *t, int64_t tap, int64_t rows, int64_t pitch) {
  const int64_t *k = t->kernel;
  const int64_t d = tap / k[2] / k[1], h = tap / k[2] % k[1] * t->dilation[1], w = tap % k[2] * t->dilation[2];
  return (d * rows + h) * pitch + w;
}

static ln_side side_of(const ln_cpu *cpu, const ln_conv_geometry *g, const int64_t *extent, void *data, int64_t image,
                       int64_t channels) {
  const int64_t lanes = cpu->lanes;
  ln_side s = {.g = g, .data = data, .image = image, .lanes = lanes, .blocks = channels / lanes, .window = 1, .extent = extent,
               .plane = ln_conv_volume(extent) * lanes,
               .step = {extent[1] * extent[2] * lanes, extent[2] * lanes, lanes}};
  for (int i = 0; i < LN_SPATIAL; i++) s.grid[i] = extent[i];
  return s;
}

ln_side ln_side_src(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_tensors *t, const ln_conv_images *images) {
  ln_side s = side_of(cpu, g, g->in, t->src, images->src_image, g->ci);
  if (!ln_conv_tiles(g)) return s;
  s.window = ln_conv_volume(g->kernel);
  s.blocks *= s.window;
  for (int i = 0; i < LN_SPATIAL; i++) {
    s.grid[i] = g->out[i];
    s.step[i] *= g->kernel[i];
  }
  return s;
}

ln_side ln_side_dst(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_tensors *t, const ln_conv_images *images) {
  return side_of(cpu, g, g->out, t->dst, images->dst_image, g->co);
}

uint16_t *ln_side_at(const ln_side *s, int64_t n, int64_t block, const int64_t at[LN_SPATIAL]) {
  const int64_t *k = s->g->kernel, tap = block % s->window;
  const int64_t d = tap / k[2] / k[1], h = s->window > 1 ? tap / k[2] % k[1] : 0, w = s->window > 1 ? tap % k[2] : 0;
  int64_t element = n * s->image + block / s->window * s->plane;
  element += ((d * s->extent[1] + h) * s->extent[2] + w) * s->lanes;
  for (int i = 0; i < LN_SPATIAL; i++) element += at[i] * s->step[i];
  return s->data + element;
}
