/* span_math.h: exp, log, log1p, tanh and the logistic function of one float, written
 * without branches or table look-ups so that gcc vectorises loops over them. Good to about
 * 2 ulp over the whole range, with IEEE results for infinities and NaN; no FMA,
 * so every instruction set gives the same bits. Coefficients: fdlibm's logf and log1pf
 * (Sun Microsystems), Cephes' tanhf (Moshier), and a minimax polynomial for exp.
 */
#ifndef LN_CPU_SPAN_MATH_H
#define LN_CPU_SPAN_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float ln_float_of(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static inline uint32_t ln_bits_of(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

/* Selections instead of fminf and fmaxf: those drop NaN and do not vectorise. */
static inline float ln_expf(float x) {
  const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
  float c = x > 89.0f ? 89.0f : x;
  c = c < -104.0f ? -104.0f : c;
  float t = c * 1.44269504f + magic;
  float n = t - magic;
  /* ln 2 in two parts; n has few bits, so n * hi is exact. */
  float r = c - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  /* 2^n in two factors: n reaches 128 and -150, beyond a float's exponent. */
  int32_t k = (int32_t)(ln_bits_of(t) - ln_bits_of(magic));
  int32_t half = k >> 1;
  float s1 = ln_float_of((uint32_t)(half + 127) << 23);
  float s2 = ln_float_of((uint32_t)(k - half + 127) << 23);
  return p * s1 * s2;
}

/* log(u) + c for u = 2^k m, where c is a small correction and direct, when k is 0, is the
 * exact value of u - 1. */
static inline float ln_log_core(float u, int32_t extra, float c, float direct, int use_direct) {
  uint32_t bits = ln_bits_of(u) + (0x3f800000u - 0x3f3504f3u);
  int32_t k = (int32_t)(bits >> 23) - 127;
  float m = ln_float_of((bits & 0x007fffffu) + 0x3f3504f3u);
  int plain = use_direct & (k == 0);
  float f = plain ? direct : m - 1.0f;
  c = plain ? 0.0f : c;
  float dk = (float)(k - extra);
  float s = f / (2.0f + f), z = s * s, w = z * z;
  float t1 = w * (0.40000972152f + w * 0.24279078841f);
  float t2 = z * (0.66666662693f + w * 0.28498786688f);
  float r = t1 + t2, hfsq = 0.5f * f * f;
  return dk * 6.9313812256e-01f - ((hfsq - (s * (hfsq + r) + (dk * 9.0580006145e-06f + c))) - f);
}

static inline float ln_logf(float x) {
  int small = x < 0x1p-126f;
  float u = small ? x * 0x1p25f : x;
  float y = ln_log_core(u, small ? 25 : 0, 0.0f, 0.0f, 0);
  y = x == 0.0f ? -INFINITY : y;
  y = x < 0.0f ? NAN : y;
  y = x == INFINITY ? INFINITY : y;
  return x != x ? x : y;
}

static inline float ln_log1pf(float x) {
  float u = 1.0f + x;
  /* what rounding u lost, relative to u */
  float lost = x > 1.0f ? 1.0f - (u - x) : x - (u - 1.0f);
  float y = ln_log_core(u, 0, lost / u, x, 1);
  y = x == -1.0f ? -INFINITY : y;
  y = x < -1.0f ? NAN : y;
  y = x == INFINITY ? INFINITY : y;
  y = x == 0.0f ? x : y;
  return x != x ? x : y;
}

static inline float ln_tanhf(float x) {
  float a = fabsf(x), z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  float near = p * z * x + x;
  float far = copysignf(1.0f - 2.0f / (ln_expf(a + a) + 1.0f), x);
  float y = a < 0.625f ? near : far;
  return x != x ? x : y;
}

static inline float ln_sigmoidf(float x) { return 1.0f / (1.0f + ln_expf(-x)); }

/* NaN if either is, as torch.maximum and torch.minimum. */
static inline float ln_maxf(float a, float b) { return (a > b) | (a != a) ? a : b; }
static inline float ln_minf(float a, float b) { return (a < b) | (a != a) ? a : b; }

#endif
