/**
 * kill -9 at random moments: of the rig that builds, boots, tests. Nothing of it goes on running, nothing stays locked,
 * no entry of the cache is damaged, and the next run passes. 60 moments: ./dgpu-rig test reliability --filter kill
 * --effort 20
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { runReport } from '../../src/report/run-report.ts';
import { randomNumbers } from '../../src/util/random.ts';
import { EFFORT, SEED } from './random-moments.ts';
import { NO_SANDBOX, readEvents, Sandbox, SMALL_RUN, until } from './sandbox.ts';

const KILLS = 3 * EFFORT;
/** About what the small run takes on a quiet machine. */
const LONGEST_MS = 10_000;

describe.skipIf(NO_SANDBOX !== undefined)(`kill -9${NO_SANDBOX === undefined ? '' : ` (${NO_SANDBOX})`}`, () => {
  test(`at ${String(KILLS)} random moments (seed ${String(SEED)})`, { timeout: KILLS * 120_000 }, async () => {
    const random = randomNumbers(SEED);
    const sandbox = await Sandbox.open();
    for (let kill = 1; kill <= KILLS; kill++) {
      const [builds, when] = [random(), random() * LONGEST_MS];
      if (builds < 0.5) await sandbox.forget('guest-image');
      if (builds < 0.2) await sandbox.forget('firmware');
      const run = sandbox.start(...SMALL_RUN);
      await Promise.race([run.ended, sleep(when)]);
      run.signal('SIGKILL');
      await run.ended;
      await sandbox.expectClean().catch((cause: unknown) => {
        const into = `After kill ${String(kill)}, ${when.toFixed(0)} ms into:\n${run.output}`;
        throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${into}`, { cause });
      });
    }
    const last = sandbox.start(...SMALL_RUN);
    expect((await last.ended).code, last.output).toBe(0);
  });

  test('in the middle of a run: "report" shows what it had judged', { timeout: 300_000 }, async () => {
    const sandbox = await Sandbox.open();
    const [events, json] = [sandbox.cache('events'), sandbox.cache('killed.json')];
    const run = sandbox.start(
      'run',
      'smoke',
      '--filter',
      'dma-bits (32|40) keeps',
      '--max-vms',
      '1',
      '--jsonl',
      events,
    );
    const hasJudged = async (): Promise<boolean> => (await readEvents(events)).some(({ type }) => type === 'test-end');
    await until(async () => run.hasEnded || (await hasJudged()), 200_000);
    run.signal('SIGKILL');
    expect(await run.ended, run.output).toEqual({ code: null, signal: 'SIGKILL' });
    const shown = sandbox.start('report');
    expect((await shown.ended).code, shown.output).toBe(0);
    expect(shown.output).toMatch(/^Killed: The rig was killed during this run/m);
    expect(shown.output).toMatch(/^pass +smoke › dma-bits 32 › keeps/m);
    expect(shown.output).toMatch(/1 passed, 0 failed\n$/);
    // Once it is recorded it is a run like any other.
    const rendered = sandbox.start('report', '1', '--json', json);
    expect((await rendered.ended).code, rendered.output).toBe(0);
    const { cutShort, results } = runReport.parse(JSON.parse(await readFile(json, 'utf8')));
    expect([cutShort?.how, results.map(({ status }) => status)]).toEqual(['killed', ['pass']]);
  });
});
