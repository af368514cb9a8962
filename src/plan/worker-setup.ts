/** Runs first in every vitest worker that may own VMs. */
import { afterAll } from 'vitest';
import { dieWithParent } from '../vm/qemu/die-with-parent.ts';

afterAll(dieWithParent());
