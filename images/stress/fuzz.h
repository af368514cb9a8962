#ifndef FUZZ_H
#define FUZZ_H

int fuzz_main(int argc, char **argv);

#endif
