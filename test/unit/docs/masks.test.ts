/** The table of masks in docs/suites.md has the RAM on both sides of each, as the machines have it. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { loadMachineProfile } from '../../../src/config/machine-profile.ts';
import { repositoryPath } from '../../../src/config/paths.ts';

const GIB = 1n << 30n;

/** As people write it. */
function words(addresses: readonly bigint[]): string {
  const written = addresses.map((address) => {
    if (address === 0n) return '0';
    const gib = address / GIB;
    return gib < 1024n ? `${String(gib)} GiB` : `${String(gib / 1024n)} TiB`;
  });
  return written.length === 0 ? 'nothing' : written.join(', ');
}

test('each row says what the machine has within reach of the mask, and beyond it', async () => {
  const text = await readFile(repositoryPath('docs/suites.md'), 'utf8');
  const rows = [...text.matchAll(/^\| ([\d, ]+) \| `(tiers[\w-]*)` \| (.*) \| (.*) \|$/gm)];
  expect(rows.length).toBeGreaterThan(4);
  for (const [row, masks = '', machine = '', within, beyond] of rows) {
    const { memory } = await loadMachineProfile(machine);
    const addresses = [0n, ...memory.dimms.map(({ address }) => address)];
    for (const limit of masks.split(', ').map((bits) => 1n << BigInt(bits))) {
      expect(words(addresses.filter((address) => address < limit)), row).toBe(within);
      expect(words(addresses.filter((address) => address >= limit)), row).toBe(beyond);
    }
  }
});
