#ifndef SMOKE_H
#define SMOKE_H

int smoke_main(int argc, char **argv);

#endif
