// What this CPU and operating system can run. The public half is in runmodel.h (rml_cpu_level_*).
#ifndef RML_KERNELS_CPU_H
#define RML_KERNELS_CPU_H

#include "runmodel.h"

// Overrides RML_CPU_BEST downwards: a level name. An unknown name is ignored.
#define RML_CPU_ENVIRONMENT "RML_CPU"

// The highest level that is built in, detected, and not above `limit` (RML_CPU_BEST: no limit).
rml_cpu_level rml_cpu_level_at_most(rml_cpu_level limit);

#endif
