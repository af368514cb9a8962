#ifndef OBJECTS_H
#define OBJECTS_H

int objects_main(int argc, char **argv);

#endif
