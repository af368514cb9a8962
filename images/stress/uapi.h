#ifndef UAPI_H
#define UAPI_H

int uapi_main(int argc, char **argv);

#endif
