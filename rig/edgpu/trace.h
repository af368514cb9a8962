#include "trace/trace-hw_edgpu.h"
