#ifndef RECOVERY_H
#define RECOVERY_H

int job_main(int argc, char **argv);
int reset_main(int argc, char **argv);

#endif
