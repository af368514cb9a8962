/* A number that the kernel has in a file of many lines, as /proc/vmstat is. */
#ifndef READ_NUMBER_H
#define READ_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* From the first line that is as @format says, which has one SCNu64. */
bool read_number(const char *path, const char *format, uint64_t *value);

#endif
