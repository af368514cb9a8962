#define _GNU_SOURCE
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 64

const char *const caching_words[] = { "cached", "wc", "uc", NULL };

bool options_complain(const char *program, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "edgpu-stress %s: ", program);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	return false;
}

static bool parse_number(const char *program, const struct option_spec *spec, const char *text)
{
	char *end;

	errno = 0;
	*spec->value = strtoull(text, &end, 0);
	if (errno || end == text || *end || strchr(text, '-'))
		return options_complain(program, "--%s takes a number, not \"%s\"", spec->name,
					text);
	return true;
}

static bool parse_word(const char *program, const struct option_spec *spec, const char *text)
{
	for (size_t i = 0; spec->words[i]; i++) {
		if (!strcmp(spec->words[i], text)) {
			*spec->value = i;
			return true;
		}
	}
	return options_complain(program, "--%s does not take \"%s\"", spec->name, text);
}

static const struct option_spec *find(const struct option_spec *specs, size_t count,
				      const char *argument)
{
	if (strncmp(argument, "--", 2))
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (!strcmp(specs[i].name, argument + 2))
			return &specs[i];
	return NULL;
}

bool options_parse(const char *program, const struct option_spec *specs, size_t count, int argc,
		   char **argv)
{
	bool given[MAX_OPTIONS] = { false };

	for (int i = 1; i < argc; i += 2) {
		const struct option_spec *spec = find(specs, count, argv[i]);

		if (!spec)
			return options_complain(program, "does not know what to do with \"%s\"",
						argv[i]);
		if (i + 1 == argc)
			return options_complain(program, "--%s takes a value", spec->name);
		if (!(spec->words ? parse_word : parse_number)(program, spec, argv[i + 1]))
			return false;
		given[spec - specs] = true;
	}
	for (size_t i = 0; i < count; i++)
		if (!given[i] && !specs[i].optional)
			return options_complain(program, "--%s is missing", specs[i].name);
	return true;
}
