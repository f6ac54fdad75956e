/* conv_measured_test.c: measured choices of convolutions (nn/cpu/conv/conv_measured.c, conv_time.c): keys there and back, texts
 * that are none, tables that name what does not exist or cannot, precision and determinism, timings, and every
 * allocation failing once. That each method is right where it is able is conv_blocked_test.c's business.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../nn/base/rng.h"
#include "../nn/cpu/conv/conv_measured.h"
#include "../nn/cpu/conv/conv_time.h"

static ln_mem mem;
static int passed, failed;
static uint64_t drawn;

static void check(bool good, const char *what, const char *of) {
  if (good) passed++;
  else failed++, printf("FAILED %s: %s\n", what, of);
}

static int64_t draw(int64_t lo, int64_t hi) {
  return lo + (int64_t)ln_below_at(5, 0, drawn++, (uint64_t)(hi - lo + 1));
}

static ln_cpu *device(ln_device_options options) {
  void *self;
  ln_error err;
  if (ln_cpu_backend()->open(&mem, &options, &self, &err) != LN_OK) abort();
  return self;
}

static ln_conv_geometry square(int64_t n, int64_t ci, int64_t co, int64_t size, int64_t kernel) {
  return (ln_conv_geometry){.n = n, .groups = 1, .ci = ci, .co = co, .in = {1, size, size}, .out = {1, size, size},
                            .kernel = {1, kernel, kernel}, .stride = {1, 1, 1}, .padding = {0, kernel / 2, kernel / 2},
                            .dilation = {1, 1, 1}};
}

static ln_conv_sides sides_of(const ln_conv_geometry *g, ln_layout layout) {
  return (ln_conv_sides){layout, layout, {.src_image = g->ci * ln_conv_volume(g->in), .dst_image = g->co * ln_conv_volume(g->out)}};
}

/* -- keys */

static bool same_sides(const ln_conv_sides *a, const ln_conv_sides *b) {
  return a->src == b->src && a->dst == b->dst && a->images.src_image == b->images.src_image &&
         a->images.dst_image == b->images.dst_image && a->images.bf16 == b->images.bf16;
}

static void test_round_trip(const ln_cpu *cpu) {
  for (int i = 0; i < 300; i++) {
    ln_conv_geometry g = {.n = draw(1, 2), .groups = draw(1, 3)}, back = {0};
    g.ci = g.groups * draw(1, 40);
    g.co = g.groups * draw(1, 40);
    for (int k = 0; k < LN_SPATIAL; k++) {
      g.kernel[k] = draw(1, 4), g.stride[k] = draw(1, 3), g.dilation[k] = draw(1, 2), g.padding[k] = draw(0, 2);
      g.in[k] = g.dilation[k] * (g.kernel[k] - 1) + draw(1, 30);
      g.out[k] = (g.in[k] + 2 * g.padding[k] - g.dilation[k] * (g.kernel[k] - 1) - 1) / g.stride[k] + 1;
    }
    ln_conv_sides sides = sides_of(&g, LN_PLAIN), back_sides;
    sides.dst = draw(0, 1) ? LN_BLOCKED : LN_PLAIN;
    sides.images.bf16 = sides.dst == LN_BLOCKED && draw(0, 1);
    ln_conv_dir dir = (ln_conv_dir)draw(0, 2), back_dir;
    char key[LN_CHOICE_KEY];
    check(ln_conv_key(cpu, &g, dir, &sides, key), "has a key", "");
    bool read = ln_conv_of_key(cpu, key, &back, &back_dir, &back_sides);
    check(read && memcmp(&g, &back, sizeof g) == 0 && dir == back_dir && same_sides(&sides, &back_sides), "is read back", key);
  }
}

/* One entry serves all large batches, but not small ones; a batch below the limit stays itself. */
static void test_batches(const ln_cpu *cpu) {
  ln_conv_geometry few = square(2, 64, 64, 256, 3), many = square(16, 64, 64, 256, 3), small = square(16, 8, 8, 8, 3);
  ln_conv_sides sides = sides_of(&few, LN_BLOCKED);
  char a[LN_CHOICE_KEY], b[LN_CHOICE_KEY];
  check(ln_conv_key(cpu, &few, LN_CONV_FORWARD, &sides, a) && ln_conv_key(cpu, &many, LN_CONV_FORWARD, &sides, b) &&
            strcmp(a, b) == 0, "large batches share a key", b);
  check(ln_conv_key(cpu, &small, LN_CONV_FORWARD, &sides, a) && strstr(a, " 16x8@1x8x8 ") != NULL, "a small one is itself", a);
}

static void test_foreign(const ln_cpu *cpu) {
  ln_conv_geometry g = square(2, 16, 16, 32, 3), back;
  ln_conv_sides sides = sides_of(&g, LN_BLOCKED), back_sides;
  ln_conv_dir dir;
  char good[LN_CHOICE_KEY];
  if (!ln_conv_key(cpu, &g, LN_CONV_FORWARD, &sides, good)) abort();
  check(ln_conv_of_key(cpu, good, &back, &dir, &back_sides), "is a key", good);
  static const char *const changes[][2] = {
      {"forward", "backward"}, {"f32", "strict"}, {"f32", "f16"}, {" bb ", " bx "}, {" bb ", "  bb "}, {" 2x16", " 0x16"},
      {" 2x16", " -2x16"}, {" 2x16", " 02x16"}, {" 2x16", " 99999999999999999999x16"}, {" 2x16", " 4194304x16"},
      {"@1x32x32 16", "@1x32x33 16"}, {"k1x3x3", "k1x0x3"}, {"k1x3x3", "k1x99x3"}, {"s1x1x1", "s1x0x1"}, {"p0x1x1", "p0x-1x1"},
      {"d1x1x1", "d1x9223372036854775807x1"}, {"g1", "g0"}, {"g1", "g3"}, {"g1", "g1 "}, {"g1", "g1x"}, {"g1", "g"}, {"g1", ""}};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    char bad[2 * LN_CHOICE_KEY];
    const char *at = strstr(good, changes[i][0]);
    if (at == NULL) abort();
    snprintf(bad, sizeof bad, "%.*s%s%s", (int)(at - good), good, changes[i][1], at + strlen(changes[i][0]));
    check(!ln_conv_of_key(cpu, bad, &back, &dir, &back_sides), "is no key", bad);
  }
  char longer[4096];
  memset(longer, 'x', sizeof longer);
  longer[sizeof longer - 1] = '\0';
  check(!ln_conv_of_key(cpu, longer, &back, &dir, &back_sides), "is no key", "a long text");
  check(!ln_conv_of_key(cpu, "", &back, &dir, &back_sides), "is no key", "nothing");
}

/* -- tables */

static ln_conv_method told(ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides, const char *kernel) {
  char key[LN_CHOICE_KEY];
  ln_error err;
  if (!ln_conv_key(cpu, g, LN_CONV_FORWARD, sides, key)) abort();
  ln_choice list[] = {{"", "direct"}, {key, kernel}, {"forward", "winograd"}};
  if (ln_cpu_backend()->choose(cpu, list, 3, &err) != LN_OK) abort();
  return ln_conv_choose(cpu, g, LN_CONV_FORWARD, sides);
}

static void test_tables(void) {
  ln_cpu *usual = device((ln_device_options){.threads = 1}), *strict = device((ln_device_options){.threads = 1, .strict = true});
  ln_cpu *sure = device((ln_device_options){.threads = 1, .deterministic = true});
  ln_conv_geometry g = square(2, 4 * usual->lanes, 4 * usual->lanes, 32, 3), other = g;
  ln_conv_sides sides = sides_of(&g, LN_BLOCKED);
  check(ln_conv_choose(usual, &g, LN_CONV_FORWARD, &sides) == LN_CONV_WINOGRAD, "the shipped rule", "winograd");
  check(told(usual, &g, &sides, "direct") == LN_CONV_DIRECT, "is told", "direct");
  check(told(usual, &g, &sides, "products") == LN_CONV_PRODUCTS, "is told", "products");
  other.n = 1;
  check(ln_conv_choose(usual, &other, LN_CONV_FORWARD, &sides) == LN_CONV_WINOGRAD, "another shape", "winograd");
  check(ln_conv_choose(usual, &g, LN_CONV_BACKWARD_DATA, &sides) == LN_CONV_WINOGRAD, "another direction", "winograd");
  static const char *const nonsense[] = {"tiles", "thin", "", "WINOGRAD", "no such kernel"};
  for (int i = 0; i < 5; i++) check(told(usual, &g, &sides, nonsense[i]) == LN_CONV_WINOGRAD, "passed over", nonsense[i]);
  ln_error err;
  check(ln_cpu_backend()->choose(usual, NULL, 0, &err) == LN_OK && ln_conv_choose(usual, &g, LN_CONV_FORWARD, &sides) == LN_CONV_WINOGRAD,
        "taken back", "winograd");
  ln_conv_sides low = sides;
  low.images.bf16 = true;
  check(told(usual, &g, &low, "products") == LN_CONV_WINOGRAD, "does not read bf16", "products");
  check(told(usual, &g, &low, "winograd") == LN_CONV_WINOGRAD && ln_conv_choose(usual, &g, LN_CONV_FORWARD, &sides) == LN_CONV_WINOGRAD,
        "bf16 has keys of its own", "winograd");
  check(told(strict, &g, &sides, "winograd") != LN_CONV_WINOGRAD, "never under strict", "winograd");
  check(told(strict, &g, &sides, "products") == LN_CONV_PRODUCTS, "strict is told", "products");
  check(told(sure, &g, &sides, "products") == LN_CONV_WINOGRAD, "not in deterministic mode", "products");
  ln_cpu_backend()->close(usual), ln_cpu_backend()->close(strict), ln_cpu_backend()->close(sure);
}

/* -- times */

static void test_times(ln_cpu *cpu) {
  const struct {
    ln_conv_geometry g;
    ln_layout layout;
    int least; /* methods */
  } cases[] = {{square(2, 2 * cpu->lanes, cpu->lanes, 12, 3), LN_BLOCKED, 2}, {square(1, cpu->lanes, cpu->lanes, 9, 1), LN_BLOCKED, 2},
               {square(2, 3, 5, 7, 3), LN_PLAIN, 1}};
  for (size_t i = 0; i < 3; i++)
    for (int dir = 0; dir < 3; dir++) {
      ln_conv_sides sides = sides_of(&cases[i].g, cases[i].layout);
      ln_timing t[LN_MAX_TIMINGS];
      int count;
      char key[LN_CHOICE_KEY];
      ln_error err = {0};
      if (!ln_conv_key(cpu, &cases[i].g, (ln_conv_dir)dir, &sides, key)) abort();
      check(ln_cpu_conv_time(cpu, key, 0.001, t, &count, &err) == LN_OK, "is timed", key);
      check(count >= cases[i].least, "by several methods", key);
      ln_conv_method shipped = ln_conv_shipped(cpu, &cases[i].g, (ln_conv_dir)dir, &sides);
      check(strcmp(t[0].kernel, ln_conv_method_name(shipped)) == 0 || shipped == LN_CONV_DIRECT, "the shipped one first", key);
      for (int k = 0; k < count; k++) {
        check(t[k].seconds > 0 && t[k].seconds < 60, "takes time", key);
        for (int m = 0; m < k; m++) check(strcmp(t[k].kernel, t[m].kernel) != 0, "each once", key);
      }
    }
  ln_timing t[LN_MAX_TIMINGS];
  int count = 7;
  ln_error err;
  check(ln_cpu_conv_time(cpu, "weights of gold", 0.001, t, &count, &err) == LN_EINVAL && count == 0, "is no key", err.text);
}

static void test_failures(ln_cpu *cpu) {
  ln_conv_geometry g = square(1, cpu->lanes, cpu->lanes, 6, 3);
  ln_conv_sides sides = sides_of(&g, LN_BLOCKED);
  ln_timing t[LN_MAX_TIMINGS];
  char key[LN_CHOICE_KEY], at_text[32];
  ln_error err;
  int count;
  if (!ln_conv_key(cpu, &g, LN_CONV_BACKWARD_DATA, &sides, key)) abort();
  size_t before = mem.live;
  for (size_t at = 1;; at++) {
    mem.fail_at = mem.count + at;
    ln_code code = ln_cpu_conv_time(cpu, key, 0, t, &count, &err);
    mem.fail_at = 0;
    snprintf(at_text, sizeof at_text, "allocation %zu", at);
    check(mem.live == before, "gives everything back", at_text);
    if (code == LN_OK) {
      check(at > 10, "allocates", at_text);
      break;
    }
    check(code == LN_ENOMEM && count == 0, "says what is missing", at_text);
  }
  mem.fail_at = mem.count + 1;
  check(ln_cpu_backend()->choose(cpu, &(ln_choice){key, "direct"}, 1, &err) == LN_ENOMEM, "no memory for a table", "");
  mem.fail_at = 0;
}

int main(void) {
  ln_cpu *cpu = device((ln_device_options){.threads = 2});
  test_round_trip(cpu);
  test_batches(cpu);
  test_foreign(cpu);
  test_tables();
  test_times(cpu);
  test_failures(cpu);
  ln_cpu_backend()->close(cpu);
  check(mem.live == 0, "nothing is left", "");
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
