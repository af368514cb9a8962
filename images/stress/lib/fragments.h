#ifndef FRAGMENTS_H
#define FRAGMENTS_H

#include <stdbool.h>

/*
 * What is free is in pieces from here on, until this process ends: there is no huge page for anybody. It returns false
 * once it has said why it could not.
 */
bool fragments_make(void);

#endif
