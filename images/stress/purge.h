#ifndef PURGE_H
#define PURGE_H

int purge_main(int argc, char **argv);

#endif
