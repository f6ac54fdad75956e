/* phantom.c: draws a phantom: poses the anatomy, walks the pixels row by row, adds the
 * camera's noise. The families are in phantom_glottis.c, phantom_bolus.c, phantom_brain.c.
 */
#include "phantom.h"

#include <string.h>

#include "../base/rng.h"
#include "phantom_draw.h"

static const ln_phantom_kind *const kinds[] = {
    [LN_PHANTOM_GLOTTIS] = &ln_phantom_glottis,
    [LN_PHANTOM_BOLUS] = &ln_phantom_bolus,
    [LN_PHANTOM_BRAIN] = &ln_phantom_brain,
};
_Static_assert(sizeof kinds / sizeof kinds[0] == LN_PHANTOM_COUNT, "a kind per family");

/* Lanes keep the random numbers of pose, fields and noise apart: the block number of a
 * draw is (family, lane, position). */
enum { LANE_POSE = 1, LANE_NOISE = 2, LANE_FIELD = 8 };

static uint64_t lane(ln_phantom_family family, int which) {
  return ((uint64_t)family + 1) << 56 | (uint64_t)which << 48;
}

static uint32_t next_word(ln_stream *s) {
  if (s->left == 0) {
    ln_philox(s->seed, s->index, s->block++, s->word);
    s->left = 4;
  }
  return s->word[4 - s->left--];
}

float ln_stream_between(ln_stream *s, float low, float high) {
  return low + (high - low) * ln_unit_f32(next_word(s));
}

bool ln_stream_chance(ln_stream *s, float probability) {
  return ln_unit_f32(next_word(s)) < probability;
}

const char *ln_phantom_name(ln_phantom_family family) {
  return (unsigned)family < LN_PHANTOM_COUNT ? kinds[family]->name : "?";
}

ln_code ln_phantom_named(const char *name, ln_phantom_family *family, ln_error *err) {
  for (int i = 0; i < LN_PHANTOM_COUNT; i++) {
    if (strcmp(name, kinds[i]->name) == 0) {
      *family = (ln_phantom_family)i;
      return LN_OK;
    }
  }
  return ln_fail(err, LN_EINVAL, "phantom: no family '%s' (there are glottis, bolus, brain)",
                 name);
}

void ln_phantom_native_size(ln_phantom_family family, int *width, int *height) {
  *width = kinds[family]->width;
  *height = kinds[family]->height;
}

/* -- Fields: uniform cubic B-splines over random knots ------------------------------- */

typedef struct field {
  int cells, stride; /* stride = cells + 3 knots a side */
  float *knot;
  float *weight; /* four a column, and the first knot they apply to */
  int *column;
} field;

static void spline_weights(float t, float w[4]) {
  float s = 1.0f - t;
  w[0] = s * s * s / 6.0f;
  w[1] = (3.0f * t * t * t - 6.0f * t * t + 4.0f) / 6.0f;
  w[2] = (3.0f * s * s * s - 6.0f * s * s + 4.0f) / 6.0f;
  w[3] = t * t * t / 6.0f;
}

static void fill_knots(field *f, uint64_t seed, uint64_t index, uint64_t block) {
  int count = f->stride * f->stride;
  for (int i = 0; i < count; i += 4) {
    uint32_t word[4];
    ln_philox(seed, index, block + (uint64_t)(i / 4), word);
    for (int k = 0; k < 4 && i + k < count; k++) {
      /* 3.6 brings the spline's standard deviation to about 1 */
      f->knot[i + k] = 3.6f * (2.0f * ln_unit_f32(word[k]) - 1.0f);
    }
  }
}

static int cell_of(float position, int cells, float *rest) {
  int cell = (int)position;
  if (cell > cells - 1) cell = cells - 1;
  *rest = position - (float)cell;
  return cell;
}

/* The same for every row, so made once. */
static void fill_columns(field *f, int width) {
  float step = (float)f->cells / (float)width, t;
  for (int x = 0; x < width; x++) {
    f->column[x] = cell_of(((float)x + 0.5f) * step, f->cells, &t);
    spline_weights(t, f->weight + 4 * x);
  }
}

/* One row of the field at height v (0..1), `width` pixels. */
static void field_row(const field *f, float v, int width, float *row) {
  float blend[LN_PHANTOM_KNOTS + 3], w[4], t;
  const float *k = f->knot + cell_of(v * (float)f->cells, f->cells, &t) * f->stride;
  int n = f->stride;
  spline_weights(t, w);
  for (int i = 0; i < n; i++) {
    blend[i] = w[0] * k[i] + w[1] * k[i + n] + w[2] * k[i + 2 * n] + w[3] * k[i + 3 * n];
  }
  for (int x = 0; x < width; x++) {
    const float *b = blend + f->column[x], *c = f->weight + 4 * x;
    row[x] = c[0] * b[0] + c[1] * b[1] + c[2] * b[2] + c[3] * b[3];
  }
}

/* -- The picture ----------------------------------------------------------------------- */

typedef struct picture {
  const ln_phantom_kind *kind;
  uint64_t seed, index, noise_block;
  int width, height;
  ln_sensor sensor;
  field fields[LN_PHANTOM_FIELDS];
  float *rows; /* `fields` rows of `width` */
  _Alignas(16) unsigned char anatomy[LN_PHANTOM_ANATOMY];
} picture;

static uint8_t expose(float value, float sensor_noise, const ln_sensor *sensor) {
  value = ln_clamp01(value);
  value += sensor_noise * (sensor->read + sensor->shot * sqrtf(value));
  return (uint8_t)(ln_clamp01(value) * 255.0f + 0.5f);
}

/* About normal: the four bytes of a word summed, mean 510 and deviation 147.8. */
static float bell(uint32_t word) {
  uint32_t sum = (word & 255u) + (word >> 8 & 255u) + (word >> 16 & 255u) + (word >> 24);
  return ((float)sum - 510.0f) / 147.8f;
}

static void draw_row(const picture *p, int y, uint8_t *image, uint8_t *mask) {
  const ln_phantom_kind *kind = p->kind;
  float v = ((float)y + 0.5f) / (float)p->height;
  float pixel = 2.0f / (float)(p->width < p->height ? p->width : p->height);
  uint32_t word[4] = {0};
  for (int k = 0; k < kind->fields; k++) {
    field_row(&p->fields[k], v, p->width, p->rows + (size_t)k * (size_t)p->width);
  }
  uint64_t first = (uint64_t)y * (uint64_t)((p->width + 3) / 4);
  for (int x = 0; x < p->width; x++) {
    float field_here[LN_PHANTOM_FIELDS];
    for (int k = 0; k < kind->fields; k++) {
      field_here[k] = p->rows[(size_t)k * (size_t)p->width + (size_t)x];
    }
    bool inside = false;
    float u = (2.0f * (float)x + 1.0f) / (float)p->width - 1.0f;
    float value = kind->shade(p->anatomy, u, 2.0f * v - 1.0f, field_here, pixel, &inside);
    if (x % 4 == 0) {
      ln_philox(p->seed, p->index, p->noise_block + first + (uint64_t)(x / 4), word);
    }
    image[x] = expose(value, bell(word[x % 4]), &p->sensor);
    mask[x] = inside ? 255 : 0;
  }
}

/* One block holds each field's row, columns and knots; NULL when memory ran out. */
static float *make_scratch(ln_mem *mem, picture *p, ln_phantom_family family) {
  size_t width = (size_t)p->width, rows = (size_t)p->kind->fields * width, knots = 0;
  for (int k = 0; k < p->kind->fields; k++) {
    p->fields[k].cells = p->kind->knots[k];
    p->fields[k].stride = p->kind->knots[k] + 3;
    knots += (size_t)(p->fields[k].stride * p->fields[k].stride);
  }
  float *block = ln_alloc(mem, (rows * 5 + knots) * sizeof *block + rows * sizeof(int));
  if (block == NULL) return NULL;
  int *columns = (int *)(void *)(block + rows * 5 + knots);
  float *next = block + rows;
  p->rows = block;
  for (int k = 0; k < p->kind->fields; k++) {
    field *f = &p->fields[k];
    f->column = columns + (size_t)k * width;
    f->weight = next;
    f->knot = next + 4 * width;
    next = f->knot + f->stride * f->stride;
    fill_columns(f, p->width);
    fill_knots(f, p->seed, p->index, lane(family, LANE_FIELD + k));
  }
  return block;
}

ln_code ln_phantom_draw(ln_mem *mem, ln_phantom_family family, uint64_t seed, uint64_t index,
                        int width, int height, uint8_t *image, uint8_t *mask, ln_error *err) {
  if ((unsigned)family >= LN_PHANTOM_COUNT) {
    return ln_fail(err, LN_EINVAL, "phantom: no family number %d", (int)family);
  }
  if (width < LN_PHANTOM_MIN_SIDE || height < LN_PHANTOM_MIN_SIDE ||
      width > LN_PHANTOM_MAX_SIDE || height > LN_PHANTOM_MAX_SIDE) {
    return ln_fail(err, LN_EINVAL, "phantom: size %dx%d is outside %d..%d a side", width, height,
                   LN_PHANTOM_MIN_SIDE, LN_PHANTOM_MAX_SIDE);
  }
  picture p = {.kind = kinds[family], .seed = seed, .index = index, .width = width,
               .height = height, .noise_block = lane(family, LANE_NOISE)};
  ln_stream stream = {.seed = seed, .index = index, .block = lane(family, LANE_POSE)};
  float *scratch = make_scratch(mem, &p, family);
  if (scratch == NULL) {
    return ln_fail(err, LN_ENOMEM, "phantom: no memory for the scratch of a %dx%d picture",
                   width, height);
  }
  p.kind->pose(p.anatomy, &stream, &p.sensor);
  for (int y = 0; y < height; y++) {
    size_t offset = (size_t)y * (size_t)width;
    draw_row(&p, y, image + offset, mask + offset);
  }
  ln_free(mem, scratch);
  return LN_OK;
}
