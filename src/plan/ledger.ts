/** The ledger: what each test file took when it was measured last, on 2 processors with 3 VMs at a time. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { repositoryPath } from '../config/paths.ts';

/** By the file's path in the repository; `vms` is how many its tests started through the fixtures. */
const ledger = z.record(z.string(), z.strictObject({ seconds: z.number(), vms: z.number() }));
type Ledger = z.infer<typeof ledger>;

/** Written by `./dgpu-rig test --ledger rig/ledger.json`. */
const FILE = 'rig/ledger.json';

export function readLedger(): Ledger {
  return ledger.parse(JSON.parse(readFileSync(repositoryPath(FILE), 'utf8')));
}
