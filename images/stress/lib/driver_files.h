/* The driver's files in debugfs, which is mounted if it is not. */
#ifndef DRIVER_FILES_H
#define DRIVER_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "gpu.h"

#define DRIVER_FILE_PATH_MAX 64

void driver_file_path(const struct gpu *gpu, const char *name, char path[DRIVER_FILE_PATH_MAX]);

/* For those that return false or NULL, failure() says why. */
FILE *driver_file_open(const struct gpu *gpu, const char *name, const char *mode);
/* A file that is one number. */
bool driver_file_get(const struct gpu *gpu, const char *name, uint64_t *value);
bool driver_file_set(const struct gpu *gpu, const char *name, uint64_t value);
/* One line of "stats". */
bool driver_stat(const struct gpu *gpu, const char *name, uint64_t *value);

/* Have the driver let go of all idle system memory; the pages stay in RAM. */
bool driver_evict(const struct gpu *gpu);

#endif
