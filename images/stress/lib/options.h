/* The options of a test program: each a name with a number, or with one of a few words. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct option_spec {
	const char *name;
	uint64_t *value;
	/* If given, the words there are, ended by NULL; the value is the place of the one chosen. */
	const char *const *words;
	/* May be left out; then the value stays as it is. */
	bool optional;
};

/* In the order of EDGPU_CACHING_*. */
extern const char *const caching_words[];

/* Says on stderr what is wrong, for the program of this name, and returns false if anything is. */
bool options_parse(const char *program, const struct option_spec *specs, size_t count, int argc,
		   char **argv);

bool options_complain(const char *program, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
