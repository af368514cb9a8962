/* What the exit code says. */
#ifndef EXIT_CODE_H
#define EXIT_CODE_H

enum exit_code {
	EXIT_PASS = 0,
	EXIT_CONTENT = 1,	/* some content was wrong */
	EXIT_USAGE = 2,
	EXIT_SYSTEM = 3,	/* a system call failed */
};

#endif
