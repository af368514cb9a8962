#include <stdio.h>

#include "lib/failure.h"
#include "lib/read_number.h"

bool read_number(const char *path, const char *format, uint64_t *value)
{
	FILE *file = fopen(path, "re");
	char line[128];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, format, value) == 1;
	if (file)
		fclose(file);
	return found || fail("%s: no \"%s\"", path, format);
}
