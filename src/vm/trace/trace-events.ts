/**
 * The events that the guest's kernel can trace. The kernel is asked once, in a VM that is booted for that, and the
 * answer is in the cache.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { obtainEntry, type EntryWork } from '../../cache/cache-entry.ts';
import { contentKey } from '../../cache/content-key.ts';
import { loadMachineProfile } from '../../config/machine-profile.ts';
import { RigError } from '../../util/rig-error.ts';
import type { Emit } from '../../util/rig-event.ts';
import { Vm, type VmSoftware } from '../vm.ts';
import { TRACEFS_SCRIPT } from './guest-trace.ts';
import type { TraceEvent } from './trace-patterns.ts';

/** What is booted to be asked. */
const MACHINE = 'noswap';
const FILE = 'events.json';

/** Those of modules come with their module, which has to be loaded for the kernel to tell of them. */
const LIST_SCRIPT = `${TRACEFS_SCRIPT}
sed 's/$/ -/' available_events
for file in $(find /lib/modules -name '*.ko' | xargs grep -l __trace_system_name); do
  module=$(basename "$file" .ko | tr - _)
  cp available_events /run/events-before
  modprobe "$module" 2> /dev/null || continue
  grep -vxF -f /run/events-before available_events | sed "s/$/ $module/"
done`;

/** All of this kernel. */
export async function traceEvents(software: VmSoftware, emit: Emit, signal: AbortSignal): Promise<TraceEvent[]> {
  const key = contentKey({ kernel: software.kernel.image, initrd: software.initrd, script: LIST_SCRIPT });
  const build = async (work: EntryWork): Promise<void> => {
    const events = parseTraceEvents(await ask(software, work));
    await writeFile(path.join(work.folder, FILE), JSON.stringify(events));
  };
  const title = 'Ask the kernel for its trace events';
  const folder = await obtainEntry({ stage: 'trace-events', title, key, build }, emit, signal);
  return JSON.parse(await readFile(path.join(folder, FILE), 'utf8')) as TraceEvent[];
}

async function ask(software: VmSoftware, { folder, signal }: EntryWork): Promise<string> {
  const profile = await loadMachineProfile(MACHINE);
  const vm = await Vm.boot({ profile, accelerator: 'tcg', software, folder: path.join(folder, 'vm'), signal });
  try {
    const { exitCode, stdout, stderr } = await vm.exec(LIST_SCRIPT);
    if (exitCode === 0) return stdout;
    throw new RigError('usage', `The guest's kernel can't trace events: ${stderr.trim()}`, {
      remedy: 'It takes CONFIG_FTRACE and CONFIG_ENABLE_DEFAULT_TRACERS.',
    });
  } finally {
    await vm.end({ keep: false, verdict: { status: 'passed' } });
  }
}

/** Of lines `system:event module`, where the module of the kernel itself is a dash. */
export function parseTraceEvents(text: string): TraceEvent[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(' '))
    .filter(([name = '']) => name.includes(':'))
    .map(([name = '', module = '-']) => ({ name, ...(module === '-' ? {} : { module }) }));
}
