/**
 * Events of the guest's kernel, recorded in buffers of a size of their own: the oldest go when they are full. They are
 * in an instance of tracefs that nobody else in the guest uses.
 */
import { writeFile } from 'node:fs/promises';
import { RigError } from '../../util/rig-error.ts';
import type { Vm } from '../vm.ts';

const TRACING = '/sys/kernel/tracing';
const INSTANCE = 'instances/rig';

/** Of each processor. In the file they are three to four times as long. */
const BUFFER_KIB = 1024;

/** In the artifacts. */
export const TRACE_FILE = 'trace.txt';

export const TRACEFS_SCRIPT = `set -e
grep -q " ${TRACING} " /proc/mounts || mount -t tracefs none ${TRACING}
cd ${TRACING}`;

/** What makes the guest record these events, in the words of the kernel's file set_event. */
function startScript(settings: readonly string[]): string {
  return [
    TRACEFS_SCRIPT,
    `mkdir -p ${INSTANCE}`,
    `cd ${INSTANCE}`,
    `echo ${String(BUFFER_KIB)} > buffer_size_kb`,
    // The clock of the kernel's log, in one order for all processors.
    'echo global > trace_clock',
    ...settings.map((setting) => `echo '${setting}' >> set_event`),
    // By when this line comes, the two clocks are known to belong together.
    `echo '<6>dgpu-rig: tracing has begun' > /dev/kmsg`,
  ].join('\n');
}

/** From now on; what the kernel did before is not recorded. */
export async function startTrace(vm: Pick<Vm, 'exec'>, settings: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await vm.exec(startScript(settings));
  if (exitCode === 0) return;
  throw new RigError('infrastructure', `The guest's kernel could not be made to trace: ${stderr.trim()}`);
}

const STOP = `echo 0 > ${TRACING}/${INSTANCE}/tracing_on`;

/** What is looked at after a test is no part of it. Fails no test. */
export async function stopTrace(vm: Pick<Vm, 'exec' | 'state'>): Promise<void> {
  if (vm.state.kind === 'ready') await vm.exec(STOP).catch(() => undefined);
}

type Traced = Pick<Vm, 'state' | 'session' | 'signal' | 'limits' | 'folder'>;

/** Writes it into the folder of the VM. Fails no test: of a guest that is dead, or too ill to answer, it is lost. */
export async function fetchTrace(vm: Traced): Promise<void> {
  if (vm.state.kind !== 'ready') return;
  try {
    const bounds = { signal: vm.signal, deadlineMs: vm.limits.command };
    const { stdout } = await vm.session().exec(`${STOP}; cat ${TRACING}/${INSTANCE}/trace`, bounds);
    await writeFile(vm.folder.file(TRACE_FILE), stdout);
  } catch {
    return;
  }
}
