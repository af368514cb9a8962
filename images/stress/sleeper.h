#ifndef SLEEPER_H
#define SLEEPER_H

int sleeper_main(int argc, char **argv);

#endif
