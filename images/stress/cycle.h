#ifndef CYCLE_H
#define CYCLE_H

int cycle_main(int argc, char **argv);

#endif
