#include "report.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "failure.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t mismatches;
static char first_mismatch[200];
/* Nothing to separate from yet, on this level. */
static bool first_field;

void report_mismatch(const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&lock);
	if (!mismatches++) {
		va_start(args, format);
		vsnprintf(first_mismatch, sizeof(first_mismatch), format, args);
		va_end(args);
	}
	pthread_mutex_unlock(&lock);
}

uint64_t report_mismatches(void)
{
	return mismatches;
}

static void print_name(const char *name)
{
	printf("%s\"%s\":", first_field ? "" : ",", name);
	first_field = false;
}

static void print_text(const char *name, const char *text)
{
	print_name(name);
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

void report_open(void)
{
	bool failed = failure()[0];

	printf("{\"ok\":%s", failed || mismatches ? "false" : "true");
	report_number("mismatches", mismatches);
	if (mismatches)
		print_text("firstError", first_mismatch);
	else if (failed)
		print_text("firstError", failure());
}

void report_number(const char *name, uint64_t value)
{
	print_name(name);
	printf("%" PRIu64, value);
}

void report_open_group(const char *name)
{
	print_name(name);
	putchar('{');
	first_field = true;
}

void report_close_group(void)
{
	putchar('}');
	first_field = false;
}

enum exit_code report_close(void)
{
	printf("}\n");
	if (mismatches)
		return EXIT_CONTENT;
	return failure()[0] ? EXIT_SYSTEM : EXIT_PASS;
}
