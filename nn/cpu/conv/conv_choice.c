/* conv_choice.c: the choice among the methods, with the measurements that it rests on. */
#include "conv_choice.h"
#include "conv_measured.h"
#include "conv_pairs.h"
#include "conv_rows.h"
#include "conv_thin.h"
#include "conv_tiles.h"
#include "pairs.h"
#include "winograd.h"

const char *ln_conv_method_name(ln_conv_method method) {
  switch (method) {
  case LN_CONV_PRODUCTS: return "products";
  case LN_CONV_DIRECT: return "direct";
  case LN_CONV_THIN: return "thin";
  case LN_CONV_TILES: return "tiles";
  case LN_CONV_ROWS: return "rows";
  case LN_CONV_WINOGRAD: return "winograd";
  case LN_CONV_PAIRS: return "pairs";
  }
  return "";
}

static bool able_as_winograd(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides) {
  if (cpu->strict || sides->src != LN_BLOCKED || sides->dst != LN_BLOCKED) return false;
  return dir == LN_CONV_BACKWARD_WEIGHTS ? ln_wino_grad_can(cpu, g) : ln_wino_can(cpu, g, dir);
}

bool ln_conv_takes_bf16(ln_conv_method method) {
  return method == LN_CONV_WINOGRAD || method == LN_CONV_TILES || method == LN_CONV_THIN || method == LN_CONV_PAIRS;
}

bool ln_conv_able(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides,
                  ln_conv_method method) {
  if (sides->images.bf16 && !ln_conv_takes_bf16(method)) return false;
  switch (method) {
  case LN_CONV_THIN: return ln_thin_can(cpu, g, dir, sides);
  case LN_CONV_TILES: return ln_tiles_can(cpu, g, sides);
  case LN_CONV_ROWS: return dir == LN_CONV_BACKWARD_WEIGHTS && ln_rows_can(cpu, g, sides);
  case LN_CONV_WINOGRAD: return able_as_winograd(cpu, g, dir, sides);
  case LN_CONV_PAIRS: return ln_pairs_can(cpu, g, sides);
  case LN_CONV_PRODUCTS: case LN_CONV_DIRECT: return true;
  }
  return false;
}

/* Measured on Zen 3 with AVX2 (oneDNN 2.6.3, OpenBLAS 0.3.21, one thread's CPU time, 256x256):
 *   64->1, 1x1            forward 2 ms, data 5, weights 2; PyTorch's oneDNN 2, 31, 2 with its page faults
 *   128->64, 2x2 up       31 ms; by oneDNN in PyTorch 170
 *   1->64, 3x3            weights 8 ms against oneDNN's 25: it pads thin sides to whole vectors
 *   2..4->32, 3x3         data 6-10 ms against 12-25
 *   1..4->1, 3x3 @128     data 0.5-1.9 ms against 2.4-6.5 (batch 8, lunette tune)
 *   16->1, 3x3            forward 4 ms against 9, weights 4 against 7
 *   256->256, 512->512    weights 73-78 GFLOP/s against 57-68. On AVX-512 oneDNN reaches 92 % of the
 *                         peak there, so it stays.
 */
static bool better_as_products(const ln_conv_geometry *g, ln_conv_dir dir, ln_isa isa) {
  if (ln_conv_tiles(g)) return true;
  if (g->groups > 1) return false;
  switch (dir) {
  case LN_CONV_FORWARD: return g->co == 1;
  case LN_CONV_BACKWARD_DATA: return g->ci <= 4;
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

/* One side blocked, the other plain, same machine, batch 2, ms of direct / conv_thin / products, forward, data, weights;
 * but for the forward ones from few channels, oneDNN's reorder the thin side:
 *   1->64 @256, 3x3          2.0 2.8 12     15 4.3 16     20 2.9 15
 *   3->64 @256, 3x3          5.4 5.8 17     15 13 20      6.6 6.4 23
 *   5->32 @128, 3x3          1.1 1.4 3.2    1.9 2.2 2.6   2.1 1.4 3.6
 *   1->16 @256, 5x5          1.3 1.5 4.8    10 2.3 4.6    15 1.4 5.4
 *   64->1 @256, 1x1          2.7 1.0 11     2.4 2.1 7.4   5.3 1.7 8.2
 *   64->4 @256, 1x1          2.7 2.3 10     2.3 2.3 10    5.3 2.6 13
 *   32->1 @256, 3x3          13 1.8 12      6.6 1.5 15    9.0 1.5 17
 *   32->7 @128, 3x3          3.6 3.2 8.6    1.6 1.7 5.6   2.1 1.6 8.7
 * A first layer's forward is near enough that the epilogue, which oneDNN leaves to a pass, decides.
 */
static bool better_as_thin(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides) {
  enum { FIRST_LAYER = 4 };
  bool thin_src = sides->src == LN_PLAIN;
  if (thin_src && dir != LN_CONV_BACKWARD_WEIGHTS && g->ci > FIRST_LAYER && cpu->isa != LN_ISA_GENERIC) return false;
  return ln_thin_can(cpu, g, dir, sides);
}

/* Both sides blocked, 3x3, same machine, effective GFLOP/s of direct / Winograd, forward, data, weights:
 *   8->8 @128, batch 2       46 91   80 91   59 93
 *   16->32 @128              97 161  85 149  72 172
 *   64->64 @128              94 243  93 242  71 269
 *   128->128 @64             82 276  87 267  57 290
 *   256->256 @32             77 269  90 239  56 246
 *   512->512 @16             73 214  82 202  51 197
 *   512->512 @8, batch 1     57 104  59 63   51 114
 *   512->512 @4, batch 4     60 108  47 69   35 115
 *   512->512 @4, batch 2     55 58   54 34   34 66
 *   256->256 @4, batch 2     66 61   77 58   46 82
 */
static bool better_as_winograd(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides) {
  enum { FEW_TILES = 4 }; /* with fewer the transforms of the weights are not paid back */
  const int64_t *size = dir == LN_CONV_FORWARD ? g->out : g->in;
  bool few = g->n * size[0] * ((size[1] + 3) / 4) * ((size[2] + 3) / 4) < FEW_TILES;
  return (dir == LN_CONV_BACKWARD_WEIGHTS || !few) && able_as_winograd(cpu, g, dir, sides);
}

/* Both sides blocked, stride 1, same machine, batch 2 (5x5 and 7x7: 1), GFLOP/s of oneDNN's direct / conv_rows, weights;
 * the peak is 104:
 *   8->8 @128, 3x3           76 97         64->64 @8, 3x3       69 92
 *   64->64 @256              75 98         512->512 @8          55 88
 *   128->128 @128            73 98         512->512 @4          33 62
 *   256->256 @64             72 99         64->64 @64, 2x2      70 93
 *   512->512 @32             71 101        64->64 @32, 5x5      78 102
 *   1024->1024 @16           69 100        64->64 @32, 7x7      81 106
 *   1024->512 @32            72 100        64->64 @32 in SSE    19 (products) 18
 * Over the peak: padding counts, and is left out. On AVX-512 oneDNN reaches 92 % of the peak; it has its own kernels for 1x1.
 */
static bool better_as_rows(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides) {
  if (dir != LN_CONV_BACKWARD_WEIGHTS || cpu->isa >= LN_ISA_AVX512 || ln_conv_volume(g->kernel) == 1) return false;
  return ln_rows_can(cpu, g, sides);
}

/* Not measured: no processor with these multipliers was at hand, only emulated ones. By their rates: AMX multiplies eight to sixteen
 * times what f32's FMA does, AVX512-BF16 twice, which is less than Winograd saves.
 */
static bool better_as_pairs(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides) {
  enum { WINOGRAD_SAVES = 4 };
  if (cpu->pairs->rate == 0 || !ln_pairs_can(cpu, g, sides)) return false;
  return cpu->pairs->rate > WINOGRAD_SAVES || !able_as_winograd(cpu, g, dir, sides);
}

ln_conv_method ln_conv_shipped(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides) {
  bool plain = sides->src == LN_PLAIN && sides->dst == LN_PLAIN;
  if (plain) return better_as_products(g, dir, cpu->isa) ? LN_CONV_PRODUCTS : LN_CONV_DIRECT;
  if (better_as_thin(cpu, g, dir, sides)) return LN_CONV_THIN;
  if (better_as_pairs(cpu, g, dir, sides)) return LN_CONV_PAIRS;
  if (better_as_tiles(cpu, g, sides)) return LN_CONV_TILES;
  if (better_as_winograd(cpu, g, dir, sides)) return LN_CONV_WINOGRAD;
  if (better_as_rows(cpu, g, dir, sides)) return LN_CONV_ROWS;
  return LN_CONV_DIRECT;
}

ln_conv_method ln_conv_choose(const ln_cpu *cpu, const ln_conv_geometry *g, ln_conv_dir dir, const ln_conv_sides *sides) {
  ln_conv_method measured;
  bool usable = ln_conv_measured(cpu, g, dir, sides, &measured) && ln_conv_able(cpu, g, dir, sides, measured);
  return usable ? measured : ln_conv_shipped(cpu, g, dir, sides);
}
