#include "process_name.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "failure.h"

bool process_name(const char *name)
{
	return !prctl(PR_SET_NAME, name) || fail("prctl: %s", strerror(errno));
}
