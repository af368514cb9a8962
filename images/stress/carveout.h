/* Objects in memory that is set aside for devices. */
#ifndef CARVEOUT_H
#define CARVEOUT_H

int carveout_main(int argc, char **argv);

#endif
