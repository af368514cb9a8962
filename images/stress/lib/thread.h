/* A thread whose start is checked. */
#ifndef THREAD_H
#define THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Where this fails, *@thread is 0 and nobody may join it: pthread_create() leaves there what it likes. */
bool thread_start(pthread_t *thread, void *(*run)(void *), void *argument);

/* The calling one, and those that it starts. */
bool thread_stay_on_cpu(uint64_t cpu);

#endif
