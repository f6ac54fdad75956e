/* conv_choice.c: the choice among the methods, with the measurements that it rests on. */
#include "conv_choice.h"
#include "conv_tiles.h"

/* Measured on Zen 3 with AVX2 (oneDNN 2.6.3, OpenBLAS 0.3.21, one thread's CPU time, 256x256):
 *   64->1, 1x1            forward 2 ms, data 5, weights 2; PyTorch's oneDNN 2, 31, 2 with its page faults
 *   128->64, 2x2 up       31 ms; by oneDNN in PyTorch 170
 *   1->64, 3x3            weights 8 ms against oneDNN's 25: it pads thin sides to whole vectors
 *   2..4->32, 3x3         data 6-10 ms against 12-25
 *   16->1, 3x3            forward 4 ms against 9, weights 4 against 7
 *   256->256, 512->512    weights 73-78 GFLOP/s against 57-68. On AVX-512 oneDNN reaches 92 % of the
 *                         peak there, so it stays.
 */
static bool better_as_products(const ln_conv_geometry *g, ln_conv_dir dir, ln_isa isa) {
  if (ln_conv_tiles(g)) return true;
  if (g->groups > 1) return false;
  switch (dir) {
  case LN_CONV_FORWARD: return g->co == 1;
  case LN_CONV_BACKWARD_DATA: return g->ci <= 4 && g->co > 1;
  default: return g->ci <= 2 || g->co == 1 || (isa < LN_ISA_AVX512 && g->ci >= 256 && g->co >= 256);
  }
}

/* Both sides blocked, same machine, batch 2, GFLOP/s of oneDNN's direct / conv_tiles / products, forward, data, weights:
 *   64->128 @256, 2x2 s2     71 78 42   58 68 45   38 67 40
 *   128->256 @128, 2x2 s2    62 78 56   51 71 60   41 62 47
 *   256->512 @64, 2x2 s2     62 75 70   54 79 58   40 77 61
 *   512->1024 @32, 2x2 s2    64 60 63   66 65 51   47 64 73
 *   64->64 @128, 1x1         81 59 28   78 51 28   76 73 37
 *   256->128 @64, 1x1        89 83 62   87 88 63   79 81 53
 *   512->512 @32, 1x1        83 72 63   86 75 61   83 73 62
 */
static bool better_as_tiles(const ln_cpu *cpu, const ln_conv_geometry *g, const ln_conv_sides *sides) {
  bool pointwise = ln_conv_volume(g->kernel) == 1; /* oneDNN has kernels for it, but no backward ones for SSE */
  return ln_tiles_can(cpu, g, sides) && (!pointwise || cpu->isa == LN_ISA_GENERIC);
}

ln_conv_method ln_conv_choose(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides) {
  bool plain = sides->src == LN_PLAIN && sides->dst == LN_PLAIN;
  if (plain) return better_as_products(g, dir, cpu->isa) ? LN_CONV_PRODUCTS : LN_CONV_DIRECT;
  if (better_as_tiles(cpu, g, sides)) return LN_CONV_TILES;
  return LN_CONV_DIRECT;
}
