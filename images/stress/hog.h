#ifndef HOG_H
#define HOG_H

int hog_main(int argc, char **argv);

#endif
