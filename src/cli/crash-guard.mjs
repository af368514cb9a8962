/**
 * Loaded before anything else, tsx included: an error of ours must never end in exit code 1, which says that a test
 * failed. Node's own code for a file that is missing, a package that is half installed or an error that nobody catches
 * is 1.
 */
for (const name of ['uncaughtException', 'unhandledRejection']) {
  process.on(name, (error) => {
    process.stderr.write(`dgpu-rig: this is a bug of the rig itself, please report it.\n${error?.stack ?? error}\n`);
    process.exit(4);
  });
}
