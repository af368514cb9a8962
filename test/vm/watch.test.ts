/**
 * `dgpu-rig watch` over a copy of the repository that is edited as a person would: each save is a verdict, by what was
 * saved.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { git } from '../../src/builds/tree/git.ts';
import { repositoryPath } from '../../src/config/paths.ts';

const ANSWER_MS = 240_000;

test('each save of the driver or of a suite is judged, and what failed is run until it passes', async () => {
  const copy = await copyOfRepository();
  const watch = new Watch(copy, ['smoke', '--dma-bits', '32', '--filter', 'dma-bits 32 control', '--accel', 'tcg']);
  onTestFinished(async () => {
    await watch.end();
  });
  expect(await watch.answer()).toMatch(/1 passed, 0 failed\n\nWatching; all pass/);

  const driver = path.join(copy, 'guest-kernel/edgpu/edgpu_drv.c');
  const mended = await readFile(driver, 'utf8');

  await writeFile(driver, mended.replace('edgpu->dma_bits = ', 'edgpu->no_such_field = '));
  const broken = await watch.answer();
  expect(broken).toContain('edgpu_drv.c');
  expect(broken).toContain('Watching; the build is broken');

  // The control asks for 64 bits, and the device would notice; this driver doesn't let it.
  const limited = mended.replace('edgpu->dma_bits = edgpu_dma_bits ?: device_bits', 'edgpu->dma_bits = device_bits');
  expect(limited).not.toBe(mended);
  await writeFile(driver, limited);
  const failed = await watch.answer();
  expect(failed).toMatch(/^FAIL .*control: with no limit in the driver/m);
  expect(failed).toMatch(/Verdict .* after the file was saved\.\n\nWatching; 1 test fails/);

  await writeFile(driver, mended);
  expect(await watch.answer()).toMatch(/Watching; all pass/);

  const suite = path.join(copy, 'src/suites/smoke.suite.ts');
  await writeFile(suite, (await readFile(suite, 'utf8')).replace("'device-fault'", "'edited'"));
  expect(await watch.answer()).toMatch(/edited[^]*Watching; 1 test fails/);

  expect(await watch.end()).toEqual([130, null]);
});

/** All that git knows of, with the times it has: newer ones would have npm's packages installed again. */
async function copyOfRepository(): Promise<string> {
  const copy = await mkdtemp(path.join(tmpdir(), 'dgpu-rig-test-'));
  onTestFinished(() => rm(copy, { recursive: true }));
  const files = (await git(repositoryPath(), ['ls-files', '-z'])).split('\0').filter((file) => file !== '');
  for (const folder of new Set(files.map((file) => path.dirname(file)))) {
    await mkdir(path.join(copy, folder), { recursive: true });
  }
  const copies = files.map((file) => cp(repositoryPath(file), path.join(copy, file), { preserveTimestamps: true }));
  await Promise.all(copies);
  await symlink(repositoryPath('node_modules'), path.join(copy, 'node_modules'));
  return copy;
}

class Watch {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #output = '';

  constructor(folder: string, args: readonly string[]) {
    const child = spawn(path.join(folder, 'dgpu-rig'), ['watch', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text: Buffer) => (this.#output += text.toString()));
    }
    this.#ended = once(child, 'exit');
    this.#child = child;
  }

  /** All that it has said since the last answer, once it watches again. */
  async answer(): Promise<string> {
    const end = performance.now() + ANSWER_MS;
    while (!/Watching; .*\n/.test(this.#output)) {
      if (performance.now() > end || this.#child.exitCode !== null) {
        throw new Error(`watch has not answered. It said:\n${this.#output}`);
      }
      await sleep(50);
    }
    const said = this.#output;
    this.#output = '';
    return said;
  }

  /** By Ctrl-C: exit code and signal. */
  async end(): Promise<unknown> {
    this.#child.kill('SIGINT');
    return this.#ended;
  }
}
