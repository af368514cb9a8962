/* Memory of this process as a dma-buf. */
#ifndef UDMABUF_H
#define UDMABUF_H

#include <stddef.h>

/*
 * Memory from here on comes from the node that every device reaches: the kernel warns when a
 * device is to map what it can't reach, and whether it does would be a matter of chance.
 */
void udmabuf_stay_low(void);

/* The dma-buf, or -1; @memfd: out, if not NULL: the memory, to be mapped. */
int udmabuf_create(size_t size, int *memfd);

#endif
