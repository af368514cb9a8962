#ifndef PRIVATE_H
#define PRIVATE_H

int private_main(int argc, char **argv);

#endif
