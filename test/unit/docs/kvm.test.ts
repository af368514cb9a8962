/** The table of docs/kvm.md has the machines that fit into so many address bits. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { addressBits, listMachineProfiles, loadMachineProfile } from '../../../src/config/machine-profile.ts';
import { repositoryPath } from '../../../src/config/paths.ts';

async function machinesBy(fits: (bits: number) => boolean): Promise<string[]> {
  const profiles = await Promise.all((await listMachineProfiles()).map(loadMachineProfile));
  return profiles.filter((profile) => fits(addressBits(profile))).map(({ name }) => name);
}

/** The names in the second column of the row that begins so. */
async function documented(row: string): Promise<string[]> {
  const text = await readFile(repositoryPath('docs/kvm.md'), 'utf8');
  const column = text
    .split('\n')
    .find((line) => line.startsWith(`| ${row} |`))
    ?.split('|')[2];
  return [...(column ?? '').matchAll(/`([^`]+)`/g)].flatMap(([, name]) => name ?? []).sort();
}

test('each row has the machines that need no more bits, or those that need more', async () => {
  expect(await documented('48, 49')).toEqual(await machinesBy((bits) => bits > 49));
  expect(await documented('42 to 47')).toEqual(await machinesBy((bits) => bits > 47));
  expect(await documented('38 to 41')).toEqual(await machinesBy((bits) => bits < 42));
  expect(await documented('36, 37')).toEqual(await machinesBy((bits) => bits < 38));
  expect(await machinesBy((bits) => bits > 50)).toEqual([]);
  expect(await machinesBy((bits) => bits < 36)).toEqual([]);
});
