/** Runs first in every vitest worker that may own VMs. */
import { dieWithParent } from '../vm/die-with-parent.ts';

dieWithParent();
