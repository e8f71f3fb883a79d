#include "tests/check_kernels/check_kernels.h"
