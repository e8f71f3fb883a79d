// What this CPU and operating system can run. The public half is in runmodel.h (rml_cpu_level_*).
#ifndef RML_KERNELS_CPU_H
#define RML_KERNELS_CPU_H

#include "runmodel.h"

// Overrides RML_CPU_BEST downwards: a level name. An unknown name is ignored.
#define RML_CPU_ENVIRONMENT "RML_CPU"

// The highest level that is built in, detected, and not above `limit` (RML_CPU_BEST: no limit).
rml_cpu_level rml_cpu_level_at_most(rml_cpu_level limit);

// Whether the CPU multiplies bf16 with f32 sums, on vectors or on the tiles of AMX, and the kernels
// for it are built in. The system gives tiles to a process that asks for them, as the second does.
bool rml_cpu_has_bf16(void);
bool rml_cpu_has_amx(void);

#endif
