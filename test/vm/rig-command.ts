/** The rig as a person starts it, from a test of the rig. */
import { readFile, rm } from 'node:fs/promises';
import { execa } from 'execa';
import { onTestFinished } from 'vitest';
import { repositoryPath } from '../../src/config/paths.ts';
import { runReport, type RunReport } from '../../src/report/run-report.ts';

const LIMIT_MS = 300_000;

/** As `test --effort` has it; above 1 what takes long is tested, too. */
export const EFFORT = Number(process.env['DGPU_RIG_EFFORT'] ?? '1');

interface Ended {
  readonly exitCode: number | undefined;
  readonly said: string;
}

export async function rig(history: string, ...args: string[]): Promise<Ended> {
  return rigWithin(LIMIT_MS, history, ...args);
}

export async function rigWithin(limitMs: number, history: string, ...args: string[]): Promise<Ended> {
  const env = { DGPU_RIG_HISTORY: history };
  const options = { env, all: true, reject: false, timeout: limitMs } as const;
  const { exitCode, all } = await execa(repositoryPath('dgpu-rig'), args, options);
  // It leaves logs where a person looks for them.
  const [, artifacts] = /^Artifacts: (\/.*)$/m.exec(all) ?? [];
  if (artifacts !== undefined) onTestFinished(() => rm(artifacts, { recursive: true, force: true }));
  return { exitCode, said: all };
}

export async function reportOf(file: string): Promise<RunReport> {
  return runReport.parse(JSON.parse(await readFile(file, 'utf8')));
}
