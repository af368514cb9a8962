/** Every test program of the guest has a control, docs/controls.md lists them all, and what they refer to exists. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { repositoryPath } from '../../../src/config/paths.ts';
import { missedBy, MUTATIONS, NO_DEVICE, SURROUNDINGS, type Control } from '../../../src/testbed/programs/controls.ts';
import { guestOfHostShell } from '../testbed/host-shell.ts';

/** Controls that need a guest of their own, by suite and name. */
const ELSEWHERE = [
  {
    program: 'smoke',
    bug: 'the device does not stay within its limit',
    suite: 'smoke',
    test: 'control: with no limit in the driver, the device faults',
  },
  {
    program: 'smoke',
    bug: 'the device gets a bit wrong',
    suite: 'swap',
    test: 'control: one bit that the device gets wrong is found',
  },
  {
    program: 'dma',
    bug: 'the driver sets no limit',
    suite: 'dma',
    test: 'control: with none in the driver, the device faults',
  },
  {
    program: 'mmap',
    bug: 'bits of VRAM change',
    suite: 'mmap',
    test: 'control: bits that change in VRAM while objects come and go are seen',
  },
  {
    program: 'dma',
    bug: 'objects of GEM have no limit',
    suite: 'gem',
    test: 'control: without the limit, as upstream, objects bounce',
  },
  { program: 'carveout', bug: 'a bit changes', suite: 'cma', test: 'control: a bit that changes is found' },
  { program: 'sleeper', bug: 'VRAM is not saved', suite: 'suspend', test: 'control: VRAM that is not saved is missed' },
  {
    program: 'kms',
    bug: 'a pixel changes',
    suite: 'bochs',
    test: 'control: a picture that the driver was not told of is not there',
  },
  {
    program: 'share',
    bug: 'the driver has twice the limit for pins',
    suite: 'driver',
    test: 'pin no more of each other than the limit; control: twice the limit lets more through',
  },
] as const;

const OWN = [...MUTATIONS, ...SURROUNDINGS, ...NO_DEVICE];

const read = (file: string): Promise<string> => readFile(repositoryPath(file), 'utf8');

async function programs(): Promise<string[]> {
  const header = await read('images/stress/programs/programs.h');
  return [...header.matchAll(/^int (\w+)_main\(/gm)].map(([, name = '']) => name);
}

test('every program that there is has a control, and is known by its name', async () => {
  const controlled = new Set([...OWN, ...ELSEWHERE].map(({ program }) => program));
  expect([...controlled].sort()).toEqual((await programs()).sort());
  const main = await read('images/stress/main.c');
  for (const program of await programs()) expect(main).toContain(`{ "${program}", ${program}_main,`);
});

test('docs/controls.md has all of them, and no others', async () => {
  const rows = (await read('docs/controls.md')).split('\n').filter((line) => line.startsWith('| `'));
  const own = OWN.map(({ program, bug, mutation }) => {
    return `| \`${program}\` | ${bug} | ${mutation === undefined ? '`controls`' : `mutation \`${mutation}\``} |`;
  });
  const elsewhere = ELSEWHERE.map(({ program, bug, suite }) => `| \`${program}\` | ${bug} | \`${suite}\` |`);
  expect(rows.sort()).toEqual([...own, ...elsewhere].sort());
});

test.for(ELSEWHERE)('$suite: $test', async ({ suite, test: name }) => {
  expect(await read(`src/suites/${suite}.suite.ts`)).toContain(`test('${name}'`);
});

test('every mutation is used, and exists', async () => {
  const source = await read('images/stress/lib/mutation.c');
  const existing = [...source.matchAll(/^\t\{ "([\w-]+)", \w+ \},$/gm)].map(([, name = '']) => name);
  const used = new Set(MUTATIONS.map(({ mutation }) => mutation?.replace(/:\d+$/, '')));
  expect([...used].sort()).toEqual(existing.sort());
});

test('the log of a program has nothing in it that the one before it said', async () => {
  const guest = await guestOfHostShell({ 'edgpu-stress': 'echo holding\nexit 3\n' });
  const control: Control = { program: 'hold', bug: 'none', before: 'cat $log 2> /dev/null', says: /^holding$/ };
  for (let round = 0; round < 2; round++) expect(await missedBy(guest, control, 1)).toBeUndefined();
});
