/* What a test program has to say at its end: one line of JSON on stdout, and its exit code. */
#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

#include "exit_code.h"

/* Something is not what it should be. The first one is told in words, all are counted; any thread may find one. */
void report_mismatch(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t report_mismatches(void);

/*
 * Opens the line with "ok", "mismatches" and "firstError": the first mismatch, or else what
 * failure() says.
 */
void report_open(void);
void report_number(const char *name, uint64_t value);
/* Numbers between these two are fields of an object of this name. */
void report_open_group(const char *name);
void report_close_group(void);
enum exit_code report_close(void);

#endif
