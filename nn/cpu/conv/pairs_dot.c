/* pairs_dot.c: kern_pairs.c once more, with AVX512-BF16's instruction, which no level of LUNETTE_ISA promises: ln_pairs_of looks
 * whether the processor has it.
 */
#if defined(__x86_64__)
#define LN_ISA dot
#define LN_LANES 16
#include "kern_pairs.c"
#endif
