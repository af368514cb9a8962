#ifndef HOLD_H
#define HOLD_H

int hold_main(int argc, char **argv);

#endif
