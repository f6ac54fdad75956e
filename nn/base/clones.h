/* clones.h: LN_CLONES in front of a function compiles it for AVX2 as well, and the dynamic
 * linker takes what the processor has. For loops outside nn/cpu whose bits cannot depend on
 * it: integers, or one f32 operation each (nn/cpu has its own dispatch, by file). Plain loops
 * only: gcc splits its vector types before it makes the clones. Needs glibc's indirect
 * functions. LUNETTE_ISA has no say here, as in the image libraries.
 */
#ifndef LN_BASE_CLONES_H
#define LN_BASE_CLONES_H

#include <features.h>

#if defined(__x86_64__) && defined(__GLIBC__)
#define LN_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define LN_CLONES
#endif

#endif
