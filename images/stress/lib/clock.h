/* What time it is. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>
#include <time.h>

/* If the clock can't be read, the program fails. */
uint64_t clock_ns(clockid_t clock);
/* The same of the clock that only goes forward. */
uint64_t now_ns(void);

#endif
