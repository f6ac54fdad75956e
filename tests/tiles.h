/* tiles.h: AMX's tile instructions on a processor that has none: each raises SIGILL there, and the handler does what it says (Intel's
 * Architecture Instruction Set Extensions Programming Reference, "Intel AMX"): LDTILECFG, TILERELEASE, TILEZERO, TILELOADD, TILESTORED,
 * TDPBF16PS, in their VEX encodings. Palette 1 alone. What is not one of them ends the process as it would have.
 */
#ifndef LUNETTE_TESTS_TILES_H
#define LUNETTE_TESTS_TILES_H

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

enum { TILES = 8, TILE_ROWS = 16, TILE_BYTES = 64 };

/* Of each thread, as the processor's are. */
static __thread struct tiles {
  int rows[TILES], bytes[TILES];
  unsigned char data[TILES][TILE_ROWS][TILE_BYTES];
} tiles;
static long tile_products; /* how many TDPBF16PS there were; of threads that end in a barrier */

static greg_t *tile_register(ucontext_t *u, int number) {
  static const int at[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                             REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return &u->uc_mcontext.gregs[at[number]];
}

/* The operand in memory that begins with the ModRM byte: its address without the index, and the index; the instruction's end. False for
 * addresses without a base, which compilers do not write here. */
static bool tile_address(ucontext_t *u, const unsigned char *code, bool x, bool b, uint64_t *base, uint64_t *index,
                         const unsigned char **end) {
  const int mod = code[0] >> 6, rm = code[0] & 7;
  const unsigned char *at = code + 1;
  int number = rm | (b ? 8 : 0);
  *index = 0;
  if (rm == 4) {
    const int i = (at[0] >> 3 & 7) | (x ? 8 : 0);
    number = (at[0] & 7) | (b ? 8 : 0);
    if (i != 4) *index = (uint64_t)*tile_register(u, i) << (at[0] >> 6);
    if (mod == 0 && (at[0] & 7) == 5) return false;
    at++;
  }
  int32_t far = 0;
  if (mod == 0 && rm == 5) { /* from the end of the instruction, which has nothing more */
    memcpy(&far, at, 4);
    *end = at + 4;
    *base = (uint64_t)*end + (uint64_t)(int64_t)far;
    return true;
  }
  if (mod == 1) far = (signed char)*at++;
  if (mod == 2) memcpy(&far, at, 4), at += 4;
  *base = (uint64_t)*tile_register(u, number) + (uint64_t)(int64_t)far;
  *end = at;
  return true;
}

static void tile_configure(const unsigned char *from) {
  memset(&tiles, 0, sizeof tiles);
  for (int t = 0; t < TILES && from[0] == 1; t++) {
    uint16_t bytes;
    memcpy(&bytes, from + 16 + 2 * t, sizeof bytes);
    tiles.bytes[t] = bytes, tiles.rows[t] = from[48 + t];
  }
}

static void tile_move(int tile, uint64_t base, uint64_t stride, bool load) {
  if (load) memset(tiles.data[tile], 0, sizeof tiles.data[tile]);
  for (int r = 0; r < tiles.rows[tile]; r++) {
    void *at = (void *)(base + (uint64_t)r * stride);
    memcpy(load ? (void *)tiles.data[tile][r] : at, load ? at : (void *)tiles.data[tile][r], (size_t)tiles.bytes[tile]);
  }
}

static float tile_factor(const unsigned char *from) {
  const uint32_t bits = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 24;
  float value;
  memcpy(&value, &bits, sizeof value);
  return fpclassify(value) == FP_SUBNORMAL ? 0.0f : value;
}

/* First all even factors of an element's row, then all odd ones, both added at the end. */
static void tile_multiply(int sum, int a, int b) {
  __atomic_fetch_add(&tile_products, 1, __ATOMIC_RELAXED);
  for (int m = 0; m < tiles.rows[sum]; m++)
    for (int n = 0; n < tiles.bytes[sum] / 4; n++) {
      float parts[2] = {0, 0}, value;
      for (int k = 0; k < tiles.bytes[a] / 4; k++)
        for (int i = 0; i < 2; i++)
          parts[i] = fmaf(tile_factor(&tiles.data[a][m][4 * k + 2 * i]), tile_factor(&tiles.data[b][k][4 * n + 2 * i]), parts[i]);
      memcpy(&value, &tiles.data[sum][m][4 * n], sizeof value);
      value += parts[0] + parts[1];
      memcpy(&tiles.data[sum][m][4 * n], &value, sizeof value);
    }
}

/* code: C4, R X B (inverted) and map 2, W vvvv (inverted) L pp, opcode, ModRM. */
static bool tile_instruction(ucontext_t *u, const unsigned char *code) {
  if (code[0] != 0xc4 || (code[1] & 31) != 2 || (code[2] & 0x84) != 0) return false;
  const bool x = !(code[1] & 0x40), b = !(code[1] & 0x20), registers = code[4] >> 6 == 3;
  const int prefix = code[2] & 3, tile = code[4] >> 3 & 7;
  const unsigned char *end = code + 5;
  uint64_t base = 0, index = 0;
  if (!registers && !tile_address(u, code + 4, x, b, &base, &index, &end)) return false;
  switch (code[3] << 4 | prefix << 1 | registers) {
  case 0x490: tile_configure((const unsigned char *)(uintptr_t)(base + index)); break;
  case 0x491: memset(&tiles, 0, sizeof tiles); break;
  case 0x497: memset(tiles.data[tile], 0, sizeof tiles.data[tile]); break;
  case 0x4b6: tile_move(tile, base, index, true); break;
  case 0x4b4: tile_move(tile, base, index, false); break;
  case 0x5c5: tile_multiply(tile, code[4] & 7, ~(code[2] >> 3) & 7); break;
  default: return false;
  }
  u->uc_mcontext.gregs[REG_RIP] = (greg_t)end;
  return true;
}

static void tile_trap(int number, siginfo_t *info, void *context) {
  (void)info;
  ucontext_t *u = context;
  if (!tile_instruction(u, (const unsigned char *)u->uc_mcontext.gregs[REG_RIP])) signal(number, SIG_DFL); /* and again */
}

/* False where the processor has tiles: nothing would trap. */
static bool tiles_emulate(void) {
  enum { TILE = 1 << 24 };
  unsigned a, b, c, d;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & TILE) != 0) return false;
  struct sigaction action = {.sa_sigaction = tile_trap, .sa_flags = SA_SIGINFO};
  return sigaction(SIGILL, &action, NULL) == 0;
}
#endif

#endif
