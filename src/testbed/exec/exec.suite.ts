/** A person's own programs, a test and a VM each: those that `run --exec` names. */
import { createWriteStream, type WriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { inject } from 'vitest';
import { slowdownOf } from '../../config/flavour.ts';
import { programTitle } from '../../plan/programs.ts';
import type { Subtest } from '../../plan/rig-context.ts';
import { RigError } from '../../util/rig-error.ts';
import { putFiles } from '../../vm/link/file-transfer.ts';
import { inUserland, prepareUserland, userlandSession } from '../../vm/link/userland.ts';
import type { OnOutput } from '../../vm/link/ssh-session.ts';
import type { Vm } from '../../vm/vm.ts';
import { test } from '../fixtures.ts';
import { EMULATION } from '../life/flavour-scale.ts';
import { addToReplay } from './replayed-program.ts';
import { programFailure, skipReason, spokenBy } from './program-verdict.ts';

const { selection, acceleration, userland } = inject('rig');
const { commands, put, timeoutMs = 300_000 } = selection.programs ?? { commands: [], put: [] };

/** With the plain kernel. */
const deadlineMs = timeoutMs * (acceleration.accelerator === 'tcg' ? EMULATION : 1);
/** For what comes before the program and after it. */
const ROOM_MS = 900_000;

test.override({ stateless: true, keep: true, brought: { shares: selection.shares ?? [], userland } });

/** As the guest's shell takes it. */
const inGuest = userland === undefined ? (command: string) => command : inUserland;

for (const command of commands) {
  const timeout = (deadlineMs + ROOM_MS) * slowdownOf(selection.flavour);
  test(programTitle(command), { timeout, concurrent: true }, async ({ vm, task, annotate, skip }) => {
    await annotate('running the program', 'step');
    const run = await judged(vm, command, (subtests) => (task.meta.subtests = subtests)).catch(withoutPlace);
    skip(run.skipped !== undefined, run.skipped);
  });
}

/** Throws the error of a program that failed; the reason of one that has nothing to do here. */
async function judged(
  vm: Vm,
  command: string,
  onCases: (subtests: readonly Subtest[]) => void,
): Promise<{ skipped: string | undefined }> {
  if (userland !== undefined) await prepareUserland(vm);
  await putAll(vm);
  await addToReplay(vm.folder, { command: inGuest(command), put, inGuest });
  const said = new Said(vm.folder.file('output.txt'));
  const result = await vm.exec(inGuest(command), { deadlineMs, onOutput: said.add }).finally(async () => {
    // What it had reported before it hung, or the kernel died, counts.
    onCases(spokenBy(said.stdout)?.subtests ?? []);
    await said.close();
  });
  const ended = { ...result, output: said.all };
  const spoken = spokenBy(said.stdout);
  const skipped = skipReason(ended, spoken);
  const failure = skipped === undefined ? programFailure(command, ended, spoken) : undefined;
  if (failure) throw failure;
  return { skipped };
}

/** No line of this file says why a program failed. */
function withoutPlace(error: unknown): never {
  throw error instanceof RigError ? Object.assign(error, { stack: '' }) : error;
}

async function putAll(vm: Vm): Promise<void> {
  const session = userland === undefined ? vm.session() : userlandSession(vm.session());
  try {
    for (const { from, to } of put) await putFiles(session, from, to, vm.signal);
  } catch (error) {
    throw error instanceof RigError && error.failureClass === 'usage' ? error : vm.explain(error);
  }
}

/** What a program prints, in memory and, as it comes, in its VM's folder. */
class Said {
  readonly #log: WriteStream;
  readonly #chunks: { readonly chunk: Buffer; readonly from: 'stdout' | 'stderr' }[] = [];

  constructor(file: string) {
    // On a full disk the verdict goes on as long as it can.
    this.#log = createWriteStream(file).on('error', () => undefined);
  }

  readonly add: OnOutput = (chunk, from) => {
    this.#chunks.push({ chunk, from });
    this.#log.write(chunk);
  };

  get all(): string {
    return Buffer.concat(this.#chunks.map(({ chunk }) => chunk)).toString();
  }

  get stdout(): string {
    const chunks = this.#chunks.filter(({ from }) => from === 'stdout');
    return Buffer.concat(chunks.map(({ chunk }) => chunk)).toString();
  }

  async close(): Promise<void> {
    await finished(this.#log.end()).catch(() => undefined);
  }
}
