/** Where progress is shown: what a command in a guest prints, or gdb, can be redirected and piped as it is. */
import { expect, test } from 'vitest';
import { progressOutput } from '../../../src/cli/session.ts';

test.for([
  ['shell', process.stderr],
  ['gdb', process.stderr],
  ['run', process.stdout],
  [undefined, process.stdout],
] as const)('%s', ([verb, output]) => expect(progressOutput(verb)).toBe(output));
