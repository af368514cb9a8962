/** dgpu-rig.yaml: what it may hold, what it changes, and that the schema for editors is what the rig checks. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command, Option } from 'commander';
import { expect, onTestFinished, test } from 'vitest';
import { applyUserDefaults } from '../../../src/cli/options/apply-defaults.ts';
import { errorText } from '../../../src/cli/error-text.ts';
import { repositoryPath } from '../../../src/config/paths.ts';
import { defaultsSchema, loadUserDefaults as load } from '../../../src/cli/options/user-defaults.ts';

async function folderWith(text: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(path.join(folder, 'dgpu-rig.yaml'), text);
  return folder;
}

const loadUserDefaults = (folder: string): Promise<unknown> => load(path.join(folder, 'dgpu-rig.yaml'));

/**
 * To make it current: node --import tsx -e "import('./src/cli/options/user-defaults.ts').then((m) =>
 * process.stdout.write(m.defaultsSchema()))"
 */
test('the schema in docs is current', async () => {
  expect(await readFile(repositoryPath('docs/dgpu-rig.schema.json'), 'utf8')).toBe(defaultsSchema());
});

test('is read, with paths relative to it', async () => {
  const folder = await folderWith('machine: tight\ndmaBits: [40]\nkernelSrc: ../linux\n');
  expect(await loadUserDefaults(folder)).toEqual({
    machine: 'tight',
    dmaBits: [40],
    kernelSrc: path.resolve(folder, '../linux'),
  });
  expect(await loadUserDefaults(await folderWith(''))).toEqual({});
});

test('a machine, options and a command line for the kernel: files are relative to it', async () => {
  const folder = await folderWith('machine: ./mine.yaml\nkconfig: [CONFIG_A=y, my.config]\nappend: a=1 b\n');
  expect(await loadUserDefaults(folder)).toEqual({
    machine: path.resolve(folder, 'mine.yaml'),
    kconfig: ['CONFIG_A=y', path.resolve(folder, 'my.config')],
    append: 'a=1 b',
  });
  expect(await loadUserDefaults(await folderWith('kconfig: CONFIG_A=y'))).toEqual({ kconfig: ['CONFIG_A=y'] });
});

test('one mask needs no list', async () => {
  expect(await loadUserDefaults(await folderWith('dmaBits: 40'))).toEqual({ dmaBits: [40] });
  expect(await loadUserDefaults(await folderWith('dmaBits: [36, 52]'))).toEqual({ dmaBits: [36, 52] });
});

test.for([
  ['machin: tight', 'There is no option "machin". Did you mean machine?'],
  ['dma-bits: 40', 'Did you mean dmaBits?'],
  ['machine: tigt', /dgpu-rig.yaml says "machine: tigt".* Did you mean tight/s],
  ['dmaBits: [31]', 'Give one or more whole numbers from 32 to 52.'],
  ['dmaBits: 53', 'Give one or more whole numbers from 32 to 52.'],
  ['dmaBits: 40.5', 'Give one or more whole numbers from 32 to 52.'],
  ['maxVms: 0', 'maxVms'],
  ['flavour: spicy', '"kasan"'],
  ['- a list', 'expected object'],
  ['keep: [', 'is not YAML'],
] as const)('a mistake is told of: %s', async ([text, what]) => {
  const error: unknown = await loadUserDefaults(await folderWith(text)).catch((cause: unknown) => cause);
  expect(error).toMatchObject({ failureClass: 'usage' });
  expect(errorText(error)).toMatch(what);
});

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
