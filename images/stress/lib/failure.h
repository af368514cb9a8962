/* What failed, in words: the first failure of the program. Any thread may have one. */
#ifndef FAILURE_H
#define FAILURE_H

#include <stdbool.h>

/* Returns false, for callers that return it; the text is that of printf(). Only the first one is kept. */
bool fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* That text, or "" if nothing failed. */
const char *failure(void);

#endif
