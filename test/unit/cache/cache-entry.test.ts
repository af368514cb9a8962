import {
  appendFile,
  chmod,
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { describe, expect, onTestFinished, vi } from 'vitest';

import { obtainEntry } from '../../../src/cache/cache-entry.ts';
import type { EntrySpec, EntryWork } from '../../../src/cache/cache-entry.ts';
import type { Emit, RigEvent } from '../../../src/util/rig-event.ts';
import { test } from './temporary-cache.ts';

const NEVER = new AbortController().signal;

/** A stage that writes a file, a file in a folder, and a link, and counts how often. */
function countingStage(key = 'k'): { spec: EntrySpec; runs: () => number } {
  let runs = 0;
  const build = async ({ folder }: EntryWork): Promise<void> => {
    runs += 1;
    await mkdir(path.join(folder, 'sub'));
    await writeFile(path.join(folder, 'file'), 'content');
    await writeFile(path.join(folder, 'sub/other'), 'more content');
    await symlink('file', path.join(folder, 'link'));
  };
  return { spec: { stage: 'stage', title: 'A stage', key, build }, runs: () => runs };
}

function outcomes(events: readonly RigEvent[]): string[] {
  return events.flatMap((event) => (event.type === 'step-end' ? [event.outcome] : []));
}

const DAMAGES: Readonly<Record<string, (entry: string) => Promise<void>>> = {
  'a file is shorter': async (entry) => truncate(path.join(entry, 'file'), 3),
  'a file is longer': async (entry) => appendFile(path.join(entry, 'file'), 'x'),
  'a byte of a file differs': async (entry) => writeFile(path.join(entry, 'sub/other'), 'more Content'),
  'a file is gone': async (entry) => rm(path.join(entry, 'file')),
  'a folder is gone': async (entry) => rm(path.join(entry, 'sub'), { recursive: true }),
  'a link leads elsewhere': async (entry) => {
    await rm(path.join(entry, 'link'));
    await symlink('fil2', path.join(entry, 'link'));
  },
  'the list of files is cut': async (entry) => truncate(path.join(entry, '.entry.json'), 10),
  'the list of files is something else': async (entry) => writeFile(path.join(entry, '.entry.json'), '{"files":1}'),
  'the list of files is gone': async (entry) => rm(path.join(entry, '.entry.json')),
};

describe('an entry', () => {
  test('is built once, then found', async ({ recorder }) => {
    const { spec, runs } = countingStage();
    const first = await obtainEntry(spec, recorder.emit, NEVER);
    expect(await obtainEntry(spec, recorder.emit, NEVER)).toBe(first);
    expect(await readFile(path.join(first, 'file'), 'utf8')).toBe('content');
    expect(runs()).toBe(1);
    expect(outcomes(recorder.events)).toEqual(['done', 'cached']);
  });

  test('belongs to its key', async ({ recorder }) => {
    const one = await obtainEntry(countingStage('one').spec, recorder.emit, NEVER);
    const two = await obtainEntry(countingStage('two').spec, recorder.emit, NEVER);
    expect(one).not.toBe(two);
    expect(outcomes(recorder.events)).toEqual(['done', 'done']);
  });

  test.for(Object.entries(DAMAGES))('is built again when %s', async ([, damage], { recorder }) => {
    const { spec, runs } = countingStage();
    const entry = await obtainEntry(spec, recorder.emit, NEVER);
    await damage(entry);
    expect(await obtainEntry(spec, recorder.emit, NEVER)).toBe(entry);
    expect(runs()).toBe(2);
    expect(await readFile(path.join(entry, 'sub/other'), 'utf8')).toBe('more content');
    expect(await obtainEntry(spec, recorder.emit, NEVER)).toBe(entry);
    expect(runs()).toBe(2);
  });

  test('says why it is built again.', async ({ recorder }) => {
    const { spec } = countingStage();
    const entry = await obtainEntry(spec, recorder.emit, NEVER);
    await truncate(path.join(entry, 'file'), 3);
    await obtainEntry(spec, recorder.emit, NEVER);
    expect(recorder.events).toContainEqual({
      type: 'notice',
      text: 'A stage: file has 3 bytes instead of 7; it is built again.',
    });
  });

  test('has its permissions again after a restore without them', async ({ recorder }) => {
    const { spec, runs } = countingStage();
    const executable = async (work: EntryWork): Promise<void> => {
      await spec.build(work);
      await chmod(path.join(work.folder, 'file'), 0o755);
    };
    const entry = await obtainEntry({ ...spec, build: executable }, recorder.emit, NEVER);
    await chmod(path.join(entry, 'file'), 0o644);
    await obtainEntry(spec, recorder.emit, NEVER);
    expect((await stat(path.join(entry, 'file'))).mode & 0o777).toBe(0o755);
    expect(runs()).toBe(1);
  });

  test('is still good after the cache has been copied', async ({ recorder, cache }) => {
    const { spec, runs } = countingStage();
    await obtainEntry(spec, recorder.emit, NEVER);
    await cp(path.join(cache, 'stage'), path.join(cache, 'copy'), { recursive: true, verbatimSymlinks: true });
    await rm(path.join(cache, 'stage'), { recursive: true });
    await rename(path.join(cache, 'copy'), path.join(cache, 'stage'));
    await obtainEntry(spec, recorder.emit, NEVER);
    expect(runs()).toBe(1);
  });
});

describe('an entry that no rig has used for days', () => {
  const days = async (entry: string): Promise<void> => {
    const past = (Date.now() - 4 * 24 * 3600 * 1000) / 1000;
    await utimes(entry, past, past);
  };

  test('goes when its stage builds another one', async ({ recorder }) => {
    const old = await obtainEntry(countingStage('old').spec, recorder.emit, NEVER);
    await days(old);
    const fresh = await obtainEntry(countingStage('new').spec, recorder.emit, NEVER);
    expect(await readdir(path.dirname(fresh))).toEqual([path.basename(fresh)]);
  });

  test('stays if it was found just now', async ({ recorder }) => {
    const { spec } = countingStage('old');
    const old = await obtainEntry(spec, recorder.emit, NEVER);
    await days(old);
    await obtainEntry(spec, recorder.emit, NEVER);
    await obtainEntry(countingStage('new').spec, recorder.emit, NEVER);
    expect(await readdir(path.dirname(old))).toContain(path.basename(old));
  });

  test.for(['built', 'found'])('stays if it was %s by a rig that still runs', async (how, { recorder }) => {
    const { spec } = countingStage('old');
    if (how === 'found') await obtainEntry(spec, recorder.emit, NEVER);
    vi.useFakeTimers({ toFake: ['setInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    // A rig of its own, whose clock is the test's.
    vi.resetModules();
    const otherRig = await import('../../../src/cache/cache-entry.ts');
    const old = await otherRig.obtainEntry(spec, recorder.emit, NEVER);
    await days(old);
    vi.advanceTimersByTime(24 * 3600 * 1000);
    await expect.poll(async () => Date.now() - (await stat(old)).mtimeMs).toBeLessThan(60_000);
    await obtainEntry(countingStage('new').spec, recorder.emit, NEVER);
    expect(await readdir(path.dirname(old))).toContain(path.basename(old));
  });
});

/** Asks as any other process would. */
async function heldLocks(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  const asked = names.map((name) => execa('flock', ['-n', path.join(folder, name), 'true'], { reject: false }));
  return (await Promise.all(asked)).flatMap(({ failed }, index) => (failed ? (names[index] ?? []) : []));
}

test('while a stage is built, nobody else can have its lock', async ({ cache, recorder }) => {
  let during: string[] = [];
  const { spec } = countingStage();
  const build = async (work: EntryWork): Promise<void> => {
    during = await heldLocks(path.join(cache, 'locks'));
    await spec.build(work);
  };
  await obtainEntry({ ...spec, build }, recorder.emit, NEVER);
  expect(during).toEqual([spec.stage]);
});

describe('a build that does not come to its end', () => {
  const failing = (fail: (work: EntryWork) => Promise<void>): EntrySpec => ({
    stage: 'stage',
    title: 'A stage',
    key: 'k',
    build: async (work) => {
      await writeFile(path.join(work.folder, 'half'), 'written');
      await fail(work);
    },
  });

  const leavesNothing = async (cache: string, spec: EntrySpec, emit: Emit, signal = NEVER): Promise<unknown> => {
    const failure = await obtainEntry(spec, emit, signal).catch((error: unknown) => error);
    expect(await readdir(path.join(cache, 'stage'))).toEqual([]);
    expect(await heldLocks(path.join(cache, 'locks'))).toEqual([]);
    return failure;
  };

  test('leaves nothing after a failure', async ({ cache, recorder }) => {
    const spec = failing(() => Promise.reject(new Error('boom')));
    expect(await leavesNothing(cache, spec, recorder.emit)).toMatchObject({ message: 'boom' });
    expect(outcomes(recorder.events)).toEqual(['failed']);
  });

  test('leaves nothing after an abort', async ({ cache, recorder }) => {
    const abort = new AbortController();
    const reason = new Error('Ctrl-C');
    const spec = failing(async ({ signal }) => {
      abort.abort(reason);
      await sleep(60_000, undefined, { signal }).catch(() => signal.throwIfAborted());
    });
    expect(await leavesNothing(cache, spec, recorder.emit, abort.signal)).toBe(reason);
  });

  test('is not an entry when it ignores the abort', async ({ cache, recorder }) => {
    const abort = new AbortController();
    const spec = failing(async () => {
      await sleep(1);
      abort.abort(new Error('Ctrl-C'));
    });
    expect(await leavesNothing(cache, spec, recorder.emit, abort.signal)).toMatchObject({ message: 'Ctrl-C' });
  });

  test.for(['ENOSPC', 'EACCES'])('%s becomes a sentence with a remedy', async (code, { cache, recorder }) => {
    const spec = failing(() => Promise.reject(Object.assign(new Error(code), { code })));
    expect(await leavesNothing(cache, spec, recorder.emit)).toMatchObject({
      name: 'RigError',
      failureClass: 'infrastructure',
      remedy: expect.stringContaining('DGPU_RIG_CACHE') as string,
    });
  });

  test('is swept up by the next build when the rig was killed', async ({ cache, recorder }) => {
    await mkdir(path.join(cache, 'stage/tmp-dead'), { recursive: true });
    const entry = await obtainEntry(countingStage().spec, recorder.emit, NEVER);
    expect(await readdir(path.join(cache, 'stage'))).toEqual([path.basename(entry)]);
  });
});

test('two rigs at once: one builds, the other says that it waits and finds the result', async ({ recorder }) => {
  const { spec, runs } = countingStage();
  const slow = { ...spec, build: async (work: EntryWork) => sleep(600).then(async () => spec.build(work)) };
  const folders = await Promise.all([obtainEntry(slow, recorder.emit, NEVER), obtainEntry(slow, recorder.emit, NEVER)]);
  expect(folders[0]).toBe(folders[1]);
  expect(runs()).toBe(1);
  expect(outcomes(recorder.events).sort()).toEqual(['cached', 'done']);
  expect(recorder.events).toContainEqual(
    expect.objectContaining({ detail: expect.stringContaining('another rig') as string }),
  );
});

test('waiting for another rig ends with an abort', async ({ recorder }) => {
  const { spec } = countingStage();
  const slow = { ...spec, build: async (work: EntryWork) => sleep(1000).then(async () => spec.build(work)) };
  const first = obtainEntry(slow, recorder.emit, NEVER);
  const abort = new AbortController();
  const second = obtainEntry(slow, recorder.emit, abort.signal);
  setTimeout(() => abort.abort(new Error('Ctrl-C')), 300);
  await expect(second).rejects.toThrow('Ctrl-C');
  await first;
});
