/** Runs first in every vitest worker that may own VMs. */
import { afterAll } from 'vitest';
import { dieWithParent } from '../vm/die-with-parent.ts';

afterAll(dieWithParent());
