/** Which dump a debugger is started on, and what is said where there is none. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { drgnArguments, findDump } from '../../../src/cli/desk/crash-verb.ts';
import { placeholderResult, type TestResult } from '../../../src/report/run-report.ts';

interface Left {
  readonly result: TestResult;
  readonly folder: string;
}

/** A test that failed, and these files in its artifacts; of the record the paths lie there, too. */
async function left(record: object | undefined, files: readonly string[] = []): Promise<Left> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const name of files) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), '');
  }
  if (record) await writeFile(path.join(folder, 'memory.json'), JSON.stringify(record));
  const result = placeholderResult({ suite: 'suspend', test: 's3', status: 'fail', message: '' });
  return { result: { ...result, artifacts: folder }, folder };
}

async function whole(): Promise<Left> {
  const { result, folder } = await left(undefined, ['memory.elf', 'vmlinux']);
  const symbols = { vmlinux: path.join(folder, 'vmlinux'), modules: path.join(folder, 'm') };
  await writeFile(path.join(folder, 'memory.json'), JSON.stringify(symbols));
  return { result, folder };
}

test('drgn gets the dump of the test that left one, with the symbols of the kernel and its modules', async () => {
  const { result, folder } = await whole();
  const { result: without } = await left(undefined);
  const args = drgnArguments(await findDump(12, [without, result]));
  // It says which of the files that it is given are of no use: not each module.
  const wanted = ['-c', 'memory.elf', '-s', 'vmlinux', '--kernel-directory', 'm'];
  expect(args.map((word) => word.replace(`${folder}/`, ''))).toEqual(wanted);
});

test.each([
  ['nothing was dumped', undefined, [], 'There is no dump of the memory of suspend › s3.'],
  [
    'it was too large',
    { refused: 'the disk is full' },
    [],
    'There is no dump of the memory of suspend › s3: the disk is full.',
  ],
  ['the kernel is gone', { vmlinux: '/gone/vmlinux', modules: '/gone' }, ['memory.elf'], '/gone/vmlinux is gone.'],
  ['it was removed', { vmlinux: '/gone/vmlinux', modules: '/gone' }, [], 'memory.elf is gone.'],
])('%s: that is one sentence, and how to get one', async (_, record, files, sentence) => {
  const { result } = await left(record, files);
  await expect(findDump(12, [result])).rejects.toMatchObject({
    failureClass: 'usage',
    message: expect.stringContaining(sentence) as string,
    remedy: expect.stringContaining('./dgpu-rig repro 12 --debug-info') as string,
  });
});
