/* What a program is called among processes. */
#ifndef PROCESS_NAME_H
#define PROCESS_NAME_H

#include <stdbool.h>

/* For those who want to end it: all programs are one binary. */
bool process_name(const char *name);

#endif
