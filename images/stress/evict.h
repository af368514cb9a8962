#ifndef EVICT_H
#define EVICT_H

int evict_main(int argc, char **argv);

#endif
