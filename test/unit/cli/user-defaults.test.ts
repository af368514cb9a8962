/** dgpu-rig.yaml: what it may hold, what it changes, and that the schema for editors is what the rig checks. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command, Option } from 'commander';
import { expect, onTestFinished, test } from 'vitest';
import { applyUserDefaults } from '../../../src/cli/options/apply-defaults.ts';
import { repositoryPath } from '../../../src/config/paths.ts';
import { defaultsSchema, loadUserDefaults } from '../../../src/config/user-defaults.ts';

async function folderWith(text: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(path.join(folder, 'dgpu-rig.yaml'), text);
  return folder;
}

/** To make it current: node --import tsx -e "import('./src/config/user-defaults.ts').then((m) => process.stdout.write(m.defaultsSchema()))" */
test('the schema in docs is current', async () => {
  expect(await readFile(repositoryPath('docs/dgpu-rig.schema.json'), 'utf8')).toBe(defaultsSchema());
});

test('is read, with paths relative to it; without one there are no defaults', async () => {
  const folder = await folderWith('machine: tight\ndmaBits: [40]\nkernelSrc: ../linux\n');
  expect(await loadUserDefaults(folder)).toEqual({
    machine: 'tight',
    dmaBits: [40],
    kernelSrc: path.resolve(folder, '../linux'),
  });
  expect(await loadUserDefaults(path.join(folder, 'nowhere'))).toEqual({});
  expect(await loadUserDefaults(await folderWith(''))).toEqual({});
});

test.for(['machin: tight', 'dmaBits: [33]', 'maxVms: 0', 'flavour: spicy', '- a list', 'keep: ['])(
  'a mistake is told of: %s',
  async (text) => {
    await expect(loadUserDefaults(await folderWith(text))).rejects.toMatchObject({ failureClass: 'usage' });
  },
);

test('the command line wins, and other verbs are left alone', async () => {
  const folder = await folderWith('machine: tight\nmaxVms: 3\nkeep: true\n');
  const seen: Record<string, unknown>[] = [];
  const root = new Command().exitOverride();
  root
    .command('run')
    .addOption(new Option('--machine <name>').default('tiers'))
    .option('--max-vms <n>', '', Number, 1)
    .action((options: Record<string, unknown>) => void seen.push(options));
  root.command('doctor').action((options: Record<string, unknown>) => void seen.push(options));
  applyUserDefaults(root, folder);
  await root.parseAsync(['node', 'x', 'run']);
  await root.parseAsync(['node', 'x', 'doctor']);
  expect(seen).toEqual([{ machine: 'tight', maxVms: 3 }, {}]);
  await root.parseAsync(['node', 'x', 'run', '--machine', 'noswap']);
  expect(seen.at(-1)).toMatchObject({ machine: 'noswap', maxVms: 3 });
});
