/* span_map.c: elementwise loops over f32 (compiled once per instruction set, see cpu.h). */
#include "span.h"
#include "span_math.h"

#define LOOP SPAN_LOOP

/* Three loops a binary op: both vectors, b one element, a one element. */
#define BINARY(name, R, expr)                                                             \
  static void name##_vv(void *vy, const void *va, const void *vb, int64_t n) {            \
    R *y = vy;                                                                            \
    const float *pa = va, *pb = vb;                                                       \
    LOOP(n) { const float a = pa[i], b = pb[i]; y[i] = (expr); }                          \
  }                                                                                       \
  static void name##_vs(void *vy, const void *va, const void *vb, int64_t n) {            \
    R *y = vy;                                                                            \
    const float *pa = va, b = *(const float *)vb;                                         \
    LOOP(n) { const float a = pa[i]; y[i] = (expr); }                                     \
  }                                                                                       \
  static void name##_sv(void *vy, const void *va, const void *vb, int64_t n) {            \
    R *y = vy;                                                                            \
    const float a = *(const float *)va, *pb = vb;                                         \
    LOOP(n) { const float b = pb[i]; y[i] = (expr); }                                     \
  }

BINARY(add, float, a + b)
BINARY(sub, float, a - b)
BINARY(mul, float, a *b)
BINARY(div, float, a / b)
BINARY(max, float, ln_maxf(a, b))
BINARY(min, float, ln_minf(a, b))
BINARY(pow, float, powf(a, b))
BINARY(eq, uint8_t, a == b)
BINARY(ne, uint8_t, a != b)
BINARY(lt, uint8_t, a < b)
BINARY(le, uint8_t, a <= b)
BINARY(gt, uint8_t, a > b)
BINARY(ge, uint8_t, a >= b)
BINARY(both, uint8_t, (a != 0.0f) & (b != 0.0f))
BINARY(either, uint8_t, (a != 0.0f) | (b != 0.0f))

/* The exponents that networks use are worth not calling powf for. */
static void pow_by(void *y, const void *a, const void *b, int64_t n) {
  float exponent = *(const float *)b;
  const float *x = a;
  float *out = y;
  if (exponent == 2.0f) {
    LOOP(n) out[i] = x[i] * x[i];
  } else if (exponent == 3.0f) {
    LOOP(n) out[i] = x[i] * x[i] * x[i];
  } else if (exponent == -1.0f) {
    LOOP(n) out[i] = 1.0f / x[i];
  } else {
    pow_vs(y, a, b, n);
  }
}

/* Parameters p and q exist in every unary loop; most ignore them. */
#define UNARY(name, R, expr)                                                     \
  static void name(void *vy, const float *px, int64_t n, float p, float q) {     \
    R *y = vy;                                                                   \
    (void)p, (void)q;                                                            \
    LOOP(n) { const float x = px[i]; y[i] = (expr); }                            \
  }

static inline float clamped(float x, float lo, float hi) {
  float y = x < lo ? lo : x;
  return y > hi ? hi : y;
}

UNARY(neg, float, -x)
UNARY(absolute, float, fabsf(x))
UNARY(sign, float, (float)(x > 0.0f) - (float)(x < 0.0f))
UNARY(exponential, float, ln_expf(x))
UNARY(logarithm, float, ln_logf(x))
UNARY(logarithm1, float, ln_log1pf(x))
UNARY(root, float, sqrtf(x))
UNARY(sine, float, sinf(x))
UNARY(cosine, float, cosf(x))
UNARY(tangent, float, ln_tanhf(x))
UNARY(floored, float, floorf(x))
UNARY(ceiled, float, ceilf(x))
UNARY(rounded, float, rintf(x))
UNARY(clamp, float, clamped(x, p, q))
UNARY(is_finite, uint8_t, (ln_bits_of(x) & 0x7f800000u) != 0x7f800000u)
UNARY(not, uint8_t, x == 0.0f)
UNARY(sigmoid, float, ln_sigmoidf(x))
UNARY(relu, float, x <= 0.0f ? 0.0f : x)
UNARY(leaky, float, x > 0.0f ? x : x *p)

#define MAP(name, expr)                                                                          \
  static void name(float *y, const float *pa, const float *pb, const float *pc, int64_t n, float p) { \
    (void)pc, (void)p;                                                                           \
    LOOP(n) { const float a = pa[i], b = pb[i]; y[i] = (expr); }                                 \
  }
#define MAP3(name, expr)                                                                         \
  static void name(float *y, const float *pa, const float *pb, const float *pc, int64_t n, float p) { \
    (void)p;                                                                                     \
    LOOP(n) { const float a = pa[i], b = pb[i], c = pc[i]; y[i] = (expr); }                      \
  }

static inline float bce_of(float p, float t) {
  float lp = ln_logf(p), lq = ln_log1pf(-p);
  lp = lp < -100.0f ? -100.0f : lp;
  lq = lq < -100.0f ? -100.0f : lq;
  return (t - 1.0f) * lq - t * lp;
}

static inline float bce_grad_of(float gy, float p, float t) {
  float d = p * (1.0f - p);
  d = d < 1e-12f ? 1e-12f : d;
  return gy * (p - t) / d;
}

static inline float bce_logits_of(float x, float t) {
  float positive = x < 0.0f ? 0.0f : x;
  return positive - x * t + ln_log1pf(ln_expf(-fabsf(x)));
}

MAP(sigmoid_grad, a *(b * (1.0f - b)))
MAP(relu_grad, b > 0.0f ? a : 0.0f)
MAP(leaky_grad, b > 0.0f ? a : a *p)
MAP(bce, bce_of(a, b))
MAP3(bce_grad, bce_grad_of(a, b, c))
MAP(bce_logits, bce_logits_of(a, b))
MAP3(bce_logits_grad, a *(ln_sigmoidf(b) - c))

/* The gradient of a loss that is the same for all elements: MAP3 where a is the parameter. */
#define MAP3_OF_ONE(name, expr)                                                                       \
  static void name(float *y, const float *pa, const float *pb, const float *pc, int64_t n, float a) { \
    (void)pa;                                                                                         \
    LOOP(n) { const float b = pb[i], c = pc[i]; y[i] = (expr); }                                      \
  }
MAP3_OF_ONE(bce_grad_of_one, bce_grad_of(a, b, c))
MAP3_OF_ONE(bce_logits_grad_of_one, a *(ln_sigmoidf(b) - c))

static void where(float *y, const uint8_t *c, const float *a, const float *b, int64_t n) {
  LOOP(n) {
    const float x = a[i], z = b[i];
    y[i] = c[i] ? x : z;
  }
}

static void scale(float *y, const float *x, int64_t n, float factor) {
  LOOP(n) y[i] = x[i] * factor;
}

static void axpy(float *y, const float *x, int64_t n, float factor) {
  LOOP(n) y[i] += x[i] * factor;
}

static void blend(float *y, const float *a, const float *b, int64_t n, float wa, float wb) {
  LOOP(n) y[i] = a[i] * wa + b[i] * wb;
}

static void to_bf16(uint16_t *y, const float *x, int64_t n) {
  LOOP(n) {
    uint32_t bits = ln_bits_of(x[i]);
    uint32_t even = bits + 0x7fffu + ((bits >> 16) & 1u); /* ties to even */
    y[i] = (uint16_t)((x[i] != x[i] ? bits | 0x400000u : even) >> 16);
  }
}

static void from_bf16(float *y, const uint16_t *x, int64_t n) {
  LOOP(n) y[i] = ln_float_of((uint32_t)x[i] << 16);
}

static void round_bf16(void *vy, const float *x, int64_t n, float p, float q) {
  float *y = vy;
  (void)p, (void)q;
  LOOP(n) {
    uint32_t bits = ln_bits_of(x[i]);
    uint32_t even = bits + 0x7fffu + ((bits >> 16) & 1u);
    y[i] = ln_float_of((x[i] != x[i] ? bits | 0x400000u : even) & 0xffff0000u);
  }
}

#define SIDES(name) {name##_vv, name##_vs, name##_sv}
const ln_map_spans SPAN(map) = {
    .binary = {[LN_OP_add] = SIDES(add), [LN_OP_sub] = SIDES(sub), [LN_OP_mul] = SIDES(mul),
               [LN_OP_div] = SIDES(div), [LN_OP_pow] = {pow_vv, pow_by, pow_sv},
               [LN_OP_maximum] = SIDES(max), [LN_OP_minimum] = SIDES(min),
               [LN_OP_eq] = SIDES(eq), [LN_OP_ne] = SIDES(ne), [LN_OP_lt] = SIDES(lt),
               [LN_OP_le] = SIDES(le), [LN_OP_gt] = SIDES(gt), [LN_OP_ge] = SIDES(ge),
               [LN_OP_logical_and] = SIDES(both), [LN_OP_logical_or] = SIDES(either)},
    .unary = {[LN_OP_round_bf16] = round_bf16, [LN_OP_neg] = neg, [LN_OP_abs] = absolute, [LN_OP_sign] = sign,
              [LN_OP_exp] = exponential, [LN_OP_log] = logarithm, [LN_OP_log1p] = logarithm1,
              [LN_OP_sqrt] = root, [LN_OP_sin] = sine, [LN_OP_cos] = cosine,
              [LN_OP_tanh] = tangent, [LN_OP_floor] = floored, [LN_OP_ceil] = ceiled,
              [LN_OP_round] = rounded, [LN_OP_clamp] = clamp, [LN_OP_isfinite] = is_finite,
              [LN_OP_logical_not] = not, [LN_OP_sigmoid] = sigmoid, [LN_OP_relu] = relu,
              [LN_OP_leaky_relu] = leaky},
    .map = {[LN_OP_sigmoid_grad] = sigmoid_grad, [LN_OP_relu_grad] = relu_grad,
            [LN_OP_leaky_relu_grad] = leaky_grad, [LN_OP_bce] = bce, [LN_OP_bce_grad] = bce_grad,
            [LN_OP_bce_with_logits] = bce_logits, [LN_OP_bce_with_logits_grad] = bce_logits_grad},
    .map_of_one = {[LN_OP_bce_grad] = bce_grad_of_one, [LN_OP_bce_with_logits_grad] = bce_logits_grad_of_one},
    .where = where, .scale = scale, .axpy = axpy, .blend = blend,
    .to_bf16 = to_bf16, .from_bf16 = from_bf16,
};
