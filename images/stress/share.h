#ifndef SHARE_H
#define SHARE_H

int share_main(int argc, char **argv);

#endif
