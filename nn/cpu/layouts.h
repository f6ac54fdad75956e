/* layouts.h: the layouts that the CPU's kernels take and give. */
#ifndef LN_CPU_LAYOUTS_H
#define LN_CPU_LAYOUTS_H

#include "cpu.h"

/* backend.h's layouts. */
void ln_cpu_layouts(const ln_cpu *cpu, ln_call *call);

bool ln_cpu_is_conv(ln_op op);

/* Are the call's layouts among those that ln_cpu_layouts gives? Else *unknown is an argument that is not. */
bool ln_cpu_layouts_fit(const ln_cpu *cpu, ln_call *call, const ln_arg **unknown);

/* The call's blocked floats become bf16 if all of them are low; else none does. */
void ln_cpu_store_bf16(ln_call *call);

#endif
