/* resize.c: Pillow's resampling, restated.
 *
 * Bilinear is a triangle filter whose support grows with the shrink factor. Weights are
 * computed in double, normalised, and rounded to 22 fractional bits; a horizontal pass
 * makes 8-bit rows (rounded half up), a vertical pass the result (the other way round where
 * a very tall image is shortened); a pass that would not change the size is skipped.
 * Every rounding here is Pillow's: the paper's networks were trained on exactly these
 * bytes, and the masks' grey borders decide some of their scores.
 */
#include "resize.h"

#include <math.h>
#include <string.h>

#include "image.h"

enum { PRECISION = 22 };

static const char *const filter_names[LN_FILTER_COUNT] = {"nearest", "bilinear"};

ln_code ln_filter_named(const char *name, ln_filter *filter, ln_error *err) {
  for (int i = 0; i < LN_FILTER_COUNT; i++)
    if (strcmp(name, filter_names[i]) == 0) return *filter = (ln_filter)i, LN_OK;
  return ln_fail(err, LN_EINVAL, "resize is '%s'; it must be 'nearest' or 'bilinear'", name);
}

/* Output i is the sum over j < count[i] of weight[i * taps + j] * in[first[i] + j]. */
typedef struct kernel {
  int64_t taps;
  int64_t *first, *count;
  int32_t *weight;
  double *exact; /* one output's weights before rounding */
} kernel;

static void kernel_free(ln_mem *mem, kernel *k) {
  ln_free(mem, k->first);
  ln_free(mem, k->count);
  ln_free(mem, k->weight);
  ln_free(mem, k->exact);
}

static double triangle(double x) {
  x = fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

/* The weights of output i; the order of operations is Pillow's precompute_coeffs. */
static void fill_weights(kernel *k, int64_t i, int64_t in_size, double scale, double filter_scale) {
  double center = ((double)i + 0.5) * scale, shrink = 1.0 / filter_scale, sum = 0.0;
  int64_t first = (int64_t)(center - filter_scale + 0.5);
  if (first < 0) first = 0;
  int64_t last = (int64_t)(center + filter_scale + 0.5);
  if (last > in_size) last = in_size;
  k->first[i] = first;
  k->count[i] = last - first;
  for (int64_t j = 0; j < last - first; j++) {
    k->exact[j] = triangle(((double)(j + first) - center + 0.5) * shrink);
    sum += k->exact[j];
  }
  for (int64_t j = 0; j < last - first; j++) {
    double weight = sum != 0.0 ? k->exact[j] / sum : k->exact[j];
    k->weight[i * k->taps + j] = (int32_t)(0.5 + weight * (1 << PRECISION));
  }
}

static ln_code kernel_make(ln_mem *mem, int64_t in_size, int64_t out_size, kernel *k, ln_error *err) {
  memset(k, 0, sizeof *k);
  double scale = (double)in_size / (double)out_size;
  double filter_scale = scale < 1.0 ? 1.0 : scale;
  k->taps = (int64_t)ceil(filter_scale) * 2 + 1;
  size_t outputs = (size_t)out_size, taps = (size_t)k->taps;
  k->first = ln_alloc(mem, ln_mul(outputs, sizeof *k->first));
  k->count = ln_alloc(mem, ln_mul(outputs, sizeof *k->count));
  k->weight = ln_alloc(mem, ln_mul(ln_mul(outputs, taps), sizeof *k->weight));
  k->exact = ln_alloc(mem, ln_mul(taps, sizeof *k->exact));
  if (k->first == NULL || k->count == NULL || k->weight == NULL || k->exact == NULL) {
    kernel_free(mem, k);
    return ln_fail(err, LN_ENOMEM, "no memory to resize an image");
  }
  for (int64_t i = 0; i < out_size; i++) fill_weights(k, i, in_size, scale, filter_scale);
  return LN_OK;
}

static inline uint8_t clip8(int32_t sum) {
  sum >>= PRECISION;
  return sum > 255 ? 255 : (uint8_t)sum;
}

static void horizontal_row(const kernel *k, const uint8_t *in, uint8_t *out, int64_t out_width) {
  for (int64_t x = 0; x < out_width; x++) {
    const uint8_t *pixel = in + k->first[x];
    const int32_t *weight = k->weight + x * k->taps;
    int32_t sum = 1 << (PRECISION - 1);
    for (int64_t j = 0; j < k->count[x]; j++) sum += pixel[j] * weight[j];
    out[x] = clip8(sum);
  }
}

/* Four rows at a time share the weights and keep four sums going. */
static void horizontal(const kernel *k, const uint8_t *in, int64_t height, int64_t width,
                       uint8_t *out, int64_t out_width) {
  int64_t y = 0;
  for (; y + 4 <= height; y += 4, in += 4 * width, out += 4 * out_width)
    for (int64_t x = 0; x < out_width; x++) {
      const uint8_t *pixel = in + k->first[x];
      const int32_t *weight = k->weight + x * k->taps;
      int32_t a = 1 << (PRECISION - 1), b = a, c = a, d = a;
      for (int64_t j = 0; j < k->count[x]; j++) {
        a += pixel[j] * weight[j];
        b += pixel[j + width] * weight[j];
        c += pixel[j + 2 * width] * weight[j];
        d += pixel[j + 3 * width] * weight[j];
      }
      out[x] = clip8(a);
      out[x + out_width] = clip8(b);
      out[x + 2 * out_width] = clip8(c);
      out[x + 3 * out_width] = clip8(d);
    }
  for (; y < height; y++, in += width, out += out_width) horizontal_row(k, in, out, out_width);
}

/* Row by row, so that the inner loops run over neighbouring pixels. */
static void vertical(const kernel *k, const uint8_t *in, int64_t width, uint8_t *out,
                     int64_t out_height, int32_t *sum) {
  for (int64_t y = 0; y < out_height; y++, out += width) {
    for (int64_t x = 0; x < width; x++) sum[x] = 1 << (PRECISION - 1);
    for (int64_t j = 0; j < k->count[y]; j++) {
      const uint8_t *row = in + (k->first[y] + j) * width;
      int32_t weight = k->weight[y * k->taps + j];
      for (int64_t x = 0; x < width; x++) sum[x] += row[x] * weight;
    }
    for (int64_t x = 0; x < width; x++) out[x] = clip8(sum[x]);
  }
}

static ln_code pass_horizontal(ln_mem *mem, const uint8_t *in, int64_t height, int64_t width,
                               uint8_t *out, int64_t out_width, ln_error *err) {
  kernel k;
  ln_code code = kernel_make(mem, width, out_width, &k, err);
  if (code != LN_OK) return code;
  horizontal(&k, in, height, width, out, out_width);
  kernel_free(mem, &k);
  return LN_OK;
}

static ln_code pass_vertical(ln_mem *mem, const uint8_t *in, int64_t height, int64_t width,
                             uint8_t *out, int64_t out_height, ln_error *err) {
  kernel k;
  ln_code code = kernel_make(mem, height, out_height, &k, err);
  if (code != LN_OK) return code;
  int32_t *sum = ln_alloc(mem, ln_mul((size_t)width, sizeof *sum));
  if (sum != NULL) vertical(&k, in, width, out, out_height, sum);
  else code = ln_fail(err, LN_ENOMEM, "no memory to resize an image");
  ln_free(mem, sum);
  kernel_free(mem, &k);
  return code;
}

static ln_code bilinear(ln_mem *mem, const uint8_t *in, int64_t height, int64_t width,
                        uint8_t *out, int64_t out_height, int64_t out_width, ln_error *err) {
  if (width == out_width) return pass_vertical(mem, in, height, width, out, out_height, err);
  if (height == out_height) return pass_horizontal(mem, in, height, width, out, out_width, err);
  bool tall = height > 100 * width && out_height < height; /* Pillow shortens such an image first */
  int64_t mid_height = tall ? out_height : height, mid_width = tall ? width : out_width;
  uint8_t *middle = ln_alloc(mem, ln_mul((size_t)mid_height, (size_t)mid_width));
  if (middle == NULL) return ln_fail(err, LN_ENOMEM, "no memory to resize an image");
  ln_code code = tall ? pass_vertical(mem, in, height, width, middle, out_height, err)
                      : pass_horizontal(mem, in, height, width, middle, out_width, err);
  if (code == LN_OK)
    code = tall ? pass_horizontal(mem, middle, out_height, width, out, out_width, err)
                : pass_vertical(mem, middle, height, out_width, out, out_height, err);
  ln_free(mem, middle);
  return code;
}

/* Pillow walks by adding the scale, so ties fall as its rounding errors have them. */
static void source_index(int64_t in_size, int64_t out_size, int64_t *index) {
  double scale = (double)in_size / (double)out_size, at = scale * 0.5;
  for (int64_t i = 0; i < out_size; i++, at += scale) {
    index[i] = (int64_t)at;
    if (index[i] >= in_size) index[i] = in_size - 1;
  }
}

static ln_code nearest(ln_mem *mem, const uint8_t *in, int64_t height, int64_t width,
                       uint8_t *out, int64_t out_height, int64_t out_width, ln_error *err) {
  int64_t *column = ln_alloc(mem, ln_mul((size_t)(out_width + out_height), sizeof *column));
  if (column == NULL) return ln_fail(err, LN_ENOMEM, "no memory to resize an image");
  int64_t *line = column + out_width;
  source_index(width, out_width, column);
  source_index(height, out_height, line);
  for (int64_t y = 0; y < out_height; y++, out += out_width) {
    const uint8_t *row = in + line[y] * width;
    for (int64_t x = 0; x < out_width; x++) out[x] = row[column[x]];
  }
  ln_free(mem, column);
  return LN_OK;
}

ln_code ln_resize(ln_mem *mem, ln_filter filter, const uint8_t *in, int64_t height, int64_t width,
                  uint8_t *out, int64_t out_height, int64_t out_width, ln_error *err) {
  if (out_height < 1 || out_width < 1 || out_height > LN_IMAGE_MAX_PIXELS / out_width)
    return ln_fail(err, LN_EINVAL, "cannot resize to %lldx%lld pixels", (long long)out_width,
                   (long long)out_height);
  if (height == out_height && width == out_width) {
    memcpy(out, in, (size_t)height * (size_t)width);
    return LN_OK;
  }
  if (filter == LN_FILTER_NEAREST) return nearest(mem, in, height, width, out, out_height, out_width, err);
  return bilinear(mem, in, height, width, out, out_height, out_width, err);
}
